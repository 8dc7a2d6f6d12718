import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CaseFile, floats, readCase } from "../testing/case-file.ts";
import { REFERENCE_FOLDERS } from "../testing/reference.ts";
import { startIndexForStrength } from "./partial-run.ts";
import { createScheduler } from "./registry.ts";
import type { SchedulerRun } from "./scheduler.ts";

const folder = REFERENCE_FOLDERS.map((root) => join(root, "cases/scheduler")).find((path) => existsSync(path));
const files = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith(".safetensors"));

interface SchedulerCase {
  readonly scheduler: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly steps: number;
  readonly eta: number | null;
  readonly custom: Pick<SchedulerRun, "timesteps" | "sigmas"> | null;
  readonly strength: number | null;
  readonly init_noise_sigma: number;
  readonly order: number;
  readonly tolerance: Readonly<Record<string, number>>;
}

function isSchedulerCase(meta: unknown): meta is SchedulerCase {
  return typeof meta === "object" && meta !== null && "scheduler" in meta && "config" in meta && "tolerance" in meta;
}

/** Compares what the case expects under a name; a name that the case lacks is not compared. */
function compare(file: CaseFile, meta: SchedulerCase, name: string, actual: Float32Array | Float64Array): void {
  const expected = file.tensors.get(name)?.data;
  if (expected === undefined) return;
  const tolerance = meta.tolerance[name] ?? meta.tolerance.default ?? 0;
  expect(actual.length, name).toBe(expected.length);
  const worst = Array.from(actual, (value, i) => Math.abs(value - Number(expected[i]))).reduce((a, b) => Math.max(b, a), 0);
  expect(worst, name).toBeLessThanOrEqual(tolerance);
}

describe.skipIf(files.length === 0)("the reference cases", () => {
  it.each(files)("%s", (fileName) => {
    const file = readCase(join(folder ?? "", fileName));
    const { meta } = file;
    if (!isSchedulerCase(meta)) throw new Error("not a case of a scheduler");
    const scheduler = createScheduler(meta.scheduler, meta.config, {
      steps: meta.steps,
      ...meta.custom,
      ...(meta.eta === null ? {} : { eta: meta.eta }),
    });
    compare(file, meta, "timesteps", scheduler.timesteps);
    compare(file, meta, "sigmas", scheduler.sigmas);
    expect(scheduler.order).toBe(meta.order);
    expect(Math.abs(scheduler.initNoiseSigma / meta.init_noise_sigma - 1)).toBeLessThan(1e-6);
    const begin = meta.strength === null ? 0 : startIndexForStrength(scheduler, meta.steps, meta.strength);
    const noise = floats(file, "noise");
    let sample =
      meta.strength === null
        ? noise.map((value) => value * scheduler.initNoiseSigma)
        : scheduler.addNoise(floats(file, "x0"), noise, begin);
    compare(file, meta, "sample.start", sample);
    let state = scheduler.begin(begin);
    let steps = 0;
    for (; state.index < scheduler.timesteps.length; steps++) {
      const prefix = `step.${String(steps).padStart(2, "0")}`;
      compare(file, meta, `${prefix}.scaled`, scheduler.scaleModelInput(sample, state));
      let draws = 0;
      const result = scheduler.step(floats(file, `${prefix}.output`), sample, state, () => {
        draws++;
        return floats(file, `${prefix}.noise`);
      });
      expect(draws, `${prefix}: draws`).toBe(file.tensors.has(`${prefix}.noise`) ? 1 : 0);
      compare(file, meta, `${prefix}.sample`, result.sample);
      if (result.predictedOriginal !== undefined) compare(file, meta, `${prefix}.x0`, result.predictedOriginal);
      ({ sample, state } = result);
    }
    expect(file.tensors.has(`step.${String(steps).padStart(2, "0")}.output`), "the case has no step more").toBe(false);
  });
});
