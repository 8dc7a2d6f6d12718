import type { Caller } from "../../auth/caller.ts";
import { messageOf } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { depthRequestSchema } from "../depth/request.ts";
import { translate } from "../depth/to-native.ts";
import type { LoadMeter } from "./load-report.ts";
import { untilReady } from "./ready-line.ts";

/** The first picture brings the model into memory; the others are measured. */
const PICTURES = 3;

/** Waits for the engine, and measures workload units a second. */
export async function makeReady(context: ServerContext, meter: LoadMeter, caller: Caller, signal: AbortSignal): Promise<void> {
  try {
    await untilReady(context, signal);
    meter.loaded(await benchmark(context, caller, signal));
  } catch (error) {
    if (signal.aborted) return;
    meter.failed(messageOf(error));
    context.log.warn({ reason: messageOf(error) }, "the Vast.ai benchmark failed");
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
