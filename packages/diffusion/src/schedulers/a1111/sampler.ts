import { a1111Sampler } from "./names.ts";
import { resolveOptions } from "./options.ts";
import { type A1111Run, type A1111Scheduler, runLength } from "./run.ts";
import { planSigmaRun } from "./sigma-run.ts";
import { planTimestepRun } from "./timestep-run.ts";

export { A1111_MAX_STEPS, type A1111Run, type A1111Scheduler } from "./run.ts";

/**
 * Plans a run. Follows AUTOMATIC1111 1.10 over k-diffusion: continuous sigmas and timesteps, and noise drawn in its order
 * (initial noise first, then one draw a step where the sampler is ancestral).
 * Raises `invalid_request` for steps, strength or options out of range.
 */
export function createA1111Sampler(run: A1111Run): A1111Scheduler {
  const { ignoresSchedule, defaultEta } = a1111Sampler(run.sampler);
  const length = runLength(run);
  const options = resolveOptions(run.options ?? {}, defaultEta);
  return ignoresSchedule ? planTimestepRun(run, length, options) : planSigmaRun(run, length, options);
}
