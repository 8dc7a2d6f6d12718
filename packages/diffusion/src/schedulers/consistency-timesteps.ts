import { KilnError } from "../errors.ts";
import { readInteger } from "./config.ts";
import type { SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { readGivenTimesteps, readSteps } from "./spacing.ts";

/**
 * The timesteps of LCM and TCD: `steps` of the `original_inference_steps` (50) on which the network was distilled,
 * spread evenly from the noisiest (Luo et al. 2023, arXiv 2310.04378, section 4.3, as diffusers spreads them).
 * @throws KilnError `invalid_request` for more steps than the distillation had
 */
export function consistencyTimesteps(config: SchedulerConfig, run: SchedulerRun, train: number): Float64Array {
  const given = readGivenTimesteps(run, train);
  if (given !== undefined) return Float64Array.from(given, Math.trunc);
  const steps = readSteps(run, train);
  const original = readInteger(config, "original_inference_steps", 50, 1, train);
  if (steps > original) {
    const message = `steps must be at most ${original} with this scheduler, the number that its networks were distilled on, not ${steps}.`;
    throw new KilnError("invalid_request", message, { subject: "steps" });
  }
  const stride = Math.floor(train / original);
  const spread = original / steps;
  return Float64Array.from({ length: steps }, (_, i) => (original - Math.floor(i * spread)) * stride - 1);
}
