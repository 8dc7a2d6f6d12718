import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Caller } from "../../auth/caller.ts";
import { messageOf } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { depthRequestSchema } from "../depth/request.ts";
import { translate } from "../depth/to-native.ts";
import type { LoadMeter } from "./load-report.ts";

const WAIT_MILLISECONDS = 500;
/** The first picture brings the model into memory; the others are measured. */
const PICTURES = 3;
/** The line of MODEL_LOG that tells a PyWorker in front of the depth listener that it may begin. */
export const READY_LINE = "Kiln model server ready";

/** Waits for the engine, says so in MODEL_LOG, and measures workload units a second. */
export async function makeReady(context: ServerContext, meter: LoadMeter, caller: Caller, signal: AbortSignal): Promise<void> {
  try {
    await untilReady(context, signal);
    const { MODEL_LOG } = context.settings;
    if (MODEL_LOG !== undefined) await appendFile(MODEL_LOG, `${READY_LINE}\n`);
    meter.loaded(await benchmark(context, caller, signal));
  } catch (error) {
    if (signal.aborted) return;
    meter.failed(messageOf(error));
    context.log.warn({ reason: messageOf(error) }, "the Vast.ai benchmark failed");
  }
}

async function untilReady(context: ServerContext, signal: AbortSignal): Promise<void> {
  for (;;) {
    const ready = await context.checkReady().then(
      () => true,
      () => false,
    );
    if (ready) return;
    await sleep(WAIT_MILLISECONDS, undefined, { signal });
  }
}

async function benchmark(context: ServerContext, caller: Caller, signal: AbortSignal): Promise<number> {
  const { native } = await translate(depthRequestSchema.parse({ prompt: "a mountain lake at dawn" }), context);
  let best = 0;
  for (let picture = 0; picture < PICTURES; picture++) {
    const startedAt = performance.now();
    const { id, workload } = await context.jobs.submit({ ...native, seed: picture }, caller, { dialect: "vast" });
    const { row } = await context.jobs.wait(id, caller, signal);
    await context.jobs.remove(id, caller);
    if (row.status !== "completed") throw new Error(row.error?.message ?? `The benchmark's job is ${row.status}.`);
    if (picture > 0) best = Math.max(best, workload / ((performance.now() - startedAt) / 1000));
  }
  return best;
}
