import { messageOf } from "../errors.ts";
import { findModels, LocalEngine } from "../measure/local-engine.ts";
import type { Catalogue } from "../models/catalogue.ts";
import type { Settings } from "../settings/schema.ts";
import {
  checkBackends,
  checkDatabase,
  checkDisk,
  checkMachine,
  checkNode,
  checkPorts,
  checkStorage,
  type Finding,
} from "./checks.ts";

export interface Check extends Finding {
  name: string;
  seconds: number;
}

export interface Diagnosis {
  /** Whether nothing that is needed is broken. */
  ok: boolean;
  checks: Check[];
}

/**
 * The self test: looks at the machine and at everything that the settings name, and draws a picture in an engine
 * process of its own. Never raises; what is broken is in the findings.
 */
export async function runDoctor(settings: Settings, onCheck: (check: Check) => void = () => {}): Promise<Diagnosis> {
  const checks: Check[] = [];
  const check = async (names: readonly string[], look: () => Promise<Finding[]> | Finding[]): Promise<void> => {
    const started = performance.now();
    const findings = await Promise.resolve()
      .then(look)
      .catch((error: unknown): Finding[] => names.map(() => ({ status: "failed", detail: messageOf(error) })));
    const seconds = Math.round(performance.now() - started) / 1000;
    for (const [index, name] of names.entries()) {
      const done: Check = { name, seconds, ...(findings[index] ?? { status: "failed", detail: "was not looked at" }) };
      checks.push(done);
      onCheck(done);
    }
  };
  await check(["machine"], () => [checkMachine()]);
  await check(["node"], () => [checkNode()]);
  await check(["backend"], async () => [await checkBackends(settings)]);
  await check(["disk"], async () => [await checkDisk(settings)]);
  await check(["database", "queue"], async () => {
    const { database, queue } = await checkDatabase(settings);
    return [database, queue];
  });
  await check(["storage"], async () => [await checkStorage(settings)]);
  await check(["ports"], async () => [await checkPorts(settings)]);
  let catalogue: Catalogue | undefined;
  await check(["models"], async () => {
    const warnings: string[] = [];
    catalogue = await findModels(settings, (message) => warnings.push(message));
    return [modelsFinding(catalogue, warnings)];
  });
  await check(["picture"], async () => [await drawPicture(settings, catalogue)]);
  return { ok: checks.every(({ status }) => status !== "failed"), checks };
}

function modelsFinding(catalogue: Catalogue, warnings: readonly string[]): Finding {
  const models = catalogue.list();
  const byKind = new Map<string, number>();
  for (const { kind } of models) byKind.set(kind, (byKind.get(kind) ?? 0) + 1);
  const counts = [...byKind].map(([kind, count]) => `${count} ${kind}${count === 1 ? "" : "s"}`).join(", ");
  const data = { models: models.map(({ id, kind, family }) => ({ id, kind, family })), warnings };
  const { id } = catalogue.default();
  const trouble = warnings.length === 0 ? "" : `; ${warnings.length} cannot be used: ${warnings.slice(0, 3).join("; ")}`;
  return { status: warnings.length === 0 ? "ok" : "warning", detail: `${counts}; the default is ${id}${trouble}`, data };
}

/** Steps of the picture: enough to see a step's time, without waiting for a good picture. */
const STEPS = 4;

async function drawPicture(settings: Settings, catalogue: Catalogue | undefined): Promise<Finding> {
  if (!catalogue) return { status: "failed", detail: "there is no model to draw with" };
  const model = catalogue.default();
  const engine = await LocalEngine.start(settings, catalogue);
  try {
    const { seconds, width, height, steps, stepSeconds, pictures } = await engine.draw({
      model: model.id,
      prompt: "a red house on green hills at sunset",
      steps: STEPS,
      seed: 1,
    });
    const [picture] = pictures;
    if (!picture) return { status: "failed", detail: `${model.id} drew nothing` };
    const step = stepSeconds.length === 0 ? undefined : Math.min(...stepSeconds);
    return {
      status: "ok",
      detail: `${model.id} at ${width} x ${height}, ${steps} steps: ${seconds.toFixed(1)} s with loading${step === undefined ? "" : `, ${step.toFixed(2)} s a step`}, by ${engine.about.backend} on ${engine.about.device} in ${engine.about.precision}`,
      data: { model: model.id, width, height, steps, seconds, seconds_per_step: step, ...engine.about },
    };
  } finally {
    await engine.stop();
  }
}
