import { weightedSum } from "../arithmetic.ts";
import type { Prediction } from "../prediction.ts";
import { linspace } from "../spacing.ts";
import { createDenoiser, type Denoiser, logSigmaTable } from "./denoiser.ts";
import { TRAINING_STEPS } from "./noise-table.ts";

/** A latent consistency model is distilled on this many of the training timesteps (arXiv 2310.04378, section 4.3). */
const DISTILLED_STEPS = 50;
const SKIP = TRAINING_STEPS / DISTILLED_STEPS;
/** Even spacings often fall half way between two levels; within float32's rounding of log sigma the lower one is taken, as there. */
const TIE = 1e-6;
/** sigma_data and the scaling of timesteps in the boundary condition of consistency models. */
const DATA_DEVIATION = 0.5;
const TIMESTEP_SCALING = 10;

/**
 * AUTOMATIC1111's view of a latent consistency model: it knows 50 noise levels, timesteps 19, 39 ... 999,
 * a sigma between them is taken for the nearest, and the answer passes the boundary condition
 * `c_skip(t) x + c_out(t) denoised`.
 */
export function createLcmDenoiser(prediction: Prediction, zeroTerminalSnr: boolean): Denoiser {
  const full = createDenoiser(prediction, zeroTerminalSnr);
  const sigmas = full.sigmas.filter((_, index) => index % SKIP === SKIP - 1);
  const table = logSigmaTable(sigmas);
  const sigmaOf = (timestep: number): number =>
    table.sigmaOf(Math.min(Math.max((timestep - (SKIP - 1)) / SKIP, 0), DISTILLED_STEPS - 1));
  const logs = sigmas.map(Math.log);
  const timestepOf = (sigma: number): number => {
    const distances = logs.map((other) => Math.abs(Math.log(sigma) - other));
    const least = Math.min(...distances) + TIE;
    return distances.findIndex((distance) => distance <= least) * SKIP + (SKIP - 1);
  };
  return {
    sigmas,
    timestepOf,
    sigmaOf,
    uniformSigmas: (n) => [...linspace(TRAINING_STEPS - 1, SKIP - 1, n)].map(sigmaOf),
    denoised(output, sample, sigma) {
      const scaled = timestepOf(sigma) * TIMESTEP_SCALING;
      const skip = DATA_DEVIATION ** 2 / (scaled ** 2 + DATA_DEVIATION ** 2);
      const out = scaled / Math.sqrt(scaled ** 2 + DATA_DEVIATION ** 2);
      return weightedSum([out, full.denoised(output, sample, sigma)], [skip, sample]);
    },
  };
}
