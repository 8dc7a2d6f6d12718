import { KilnError } from "../errors.ts";
import { roundHalfToEven } from "../round-half-to-even.ts";
import { LATENT_BETAS, noiseTable } from "./betas.ts";
import { MAX_STEPS } from "./config.ts";
import { timestepOfSigma } from "./sigmas.ts";
import { linspace } from "./spacing.ts";

/** Timesteps for ten steps that were optimised for each family (Sabour et al. 2024, arXiv 2404.14507), as diffusers' `AysSchedules` lists them. */
export const ALIGN_YOUR_STEPS = {
  sdxl: [999, 845, 730, 587, 443, 310, 193, 116, 53, 13],
  sd15: [999, 850, 736, 645, 545, 455, 343, 233, 124, 24],
} as const;

/**
 * The noise levels that belong to them, with the level at the end that the authors give for interpolation
 * (research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html).
 */
export const ALIGN_YOUR_STEPS_SIGMAS = {
  sdxl: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029],
  sd15: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
} as const;

/**
 * The timesteps for any number of steps: the published ones for ten, else those of the published noise levels
 * interpolated in log sigma, as the authors advise. Whole, falling, one for each step.
 * @throws KilnError `invalid_request` for a number of steps out of range
 */
export function alignYourSteps(family: keyof typeof ALIGN_YOUR_STEPS, steps: number): readonly number[] {
  const published = ALIGN_YOUR_STEPS[family];
  if (!Number.isInteger(steps) || steps < 1 || steps > MAX_STEPS) {
    throw new KilnError("invalid_request", `steps must be a whole number from 1 to ${MAX_STEPS}, not ${steps}.`, {
      subject: "steps",
    });
  }
  if (steps === published.length) return published;
  const table = noiseTable({ beta_schedule: "scaled_linear" }, LATENT_BETAS);
  const logs = ALIGN_YOUR_STEPS_SIGMAS[family].map(Math.log);
  const timesteps: number[] = [];
  for (const position of linspace(0, logs.length - 1, steps + 1).subarray(0, steps)) {
    const below = Math.floor(position);
    const low = logs[below] ?? 0;
    const sigma = Math.exp(low + ((logs[below + 1] ?? low) - low) * (position - below));
    const before = timesteps.at(-1) ?? table.length;
    // Where many steps crowd together, each keeps a timestep of its own, and enough are left for those to come.
    const wanted = Math.min(roundHalfToEven(timestepOfSigma(sigma, table)), before - 1);
    timesteps.push(Math.max(wanted, steps - 1 - timesteps.length));
  }
  return timesteps;
}
