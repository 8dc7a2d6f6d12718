import { entry, weightedSum } from "./arithmetic.ts";
import { LATENT_BETAS, noiseTable } from "./betas.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { discreteSigmas } from "./discrete-sigmas.ts";
import { predictOriginalAtSigma, readLimiter, readPrediction } from "./prediction.ts";
import { advance, sigmaSpace, sigmaSpaceSpacing } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

/** Heun's second-order method (Karras et al. 2022, arXiv 2206.00364, algorithm 1 without churn), as diffusers' `HeunDiscreteScheduler`. */
export const heun: SchedulerDefinition = {
  className: "HeunDiscreteScheduler",
  names: { Heun: {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform", "AYS"],
  create: createHeun,
};

/** `history` in the middle of a step: the sample at its beginning and the derivative there. */
function createHeun(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "sigmas");
  const table = noiseTable(config, LATENT_BETAS);
  const prediction = readPrediction(config);
  const limit = readLimiter(config, false, false);
  const spaced = discreteSigmas(config, run, table);
  const timesteps = doubleInner(spaced.timesteps, false).map(Math.fround);
  const sigmas = doubleInner(closedSigmas(spaced.sigmas, 0), true);
  return {
    ...sigmaSpace(timesteps, sigmas, sigmaSpaceSpacing(config), table.length),
    order: 2,
    step(output, sample, state) {
      const [start, derivative] = state.history;
      const here = entry(sigmas, state.index);
      const predictedOriginal = limit(predictOriginalAtSigma(prediction, output, sample, here));
      const slope = weightedSum([1 / here, sample], [-1 / here, predictedOriginal]);
      if (start === undefined || derivative === undefined) {
        const next = weightedSum([1, sample], [entry(sigmas, state.index + 1) - here, slope]);
        return { sample: next, state: advance(state, [sample, slope]), predictedOriginal };
      }
      const half = (here - entry(sigmas, state.index - 1)) / 2;
      return { sample: weightedSum([1, start], [half, derivative], [half, slope]), state: advance(state), predictedOriginal };
    },
  };
}

/** Every entry twice but the first, and the last one too where it is the end of the run. */
export function doubleInner(values: Float64Array, keepLast: boolean): Float64Array {
  const end = values.length - (keepLast ? 1 : 0);
  return Float64Array.from([...values].flatMap((value, i) => (i === 0 || i >= end ? [value] : [value, value])));
}
