import { entry, weightedSum } from "./arithmetic.ts";
import { noiseTable } from "./betas.ts";
import { consistencyTimesteps } from "./consistency-timesteps.ts";
import { readEta } from "./ddim.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { CONSISTENCY_BETAS } from "./lcm.ts";
import { mixtureOfAlpha, predictNoise, predictOriginal, readPrediction } from "./prediction.ts";
import { advance, alphaAt, timestepSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { refuseGiven } from "./spacing.ts";

/** diffusers' default of the stochasticity, which the paper calls gamma. */
const DEFAULT_ETA = 0.3;

/** Strategic stochastic sampling of trajectory consistency models (Zheng et al. 2024, arXiv 2402.19159, algorithm 2), as diffusers' `TCDScheduler`. */
export const tcd: SchedulerDefinition = {
  className: "TCDScheduler",
  names: { TCD: {} },
  spacings: [],
  create: createTcd,
};

function createTcd(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "sigmas");
  const table = noiseTable(config, CONSISTENCY_BETAS);
  const prediction = readPrediction(config);
  const eta = readEta(run, DEFAULT_ETA);
  const timesteps = consistencyTimesteps(config, run, table.length);
  return {
    ...timestepSpace(timesteps, table),
    order: 1,
    step(output, sample, state, draw) {
      const mixture = mixtureOfAlpha(alphaAt(table, entry(timesteps, state.index)));
      const next = timesteps[state.index + 1] ?? 0;
      // In float32, as torch multiplies; a product just below a whole number would be cut to the one before.
      const target = alphaAt(table, Math.floor(Math.fround(Math.fround(1 - eta) * next)));
      const { alpha, sigma } = mixtureOfAlpha(target);
      const predictedOriginal = predictOriginal(prediction, output, sample, mixture);
      const denoised = weightedSum([alpha, predictedOriginal], [sigma, predictNoise(prediction, output, sample, mixture)]);
      if (eta === 0 || state.index === timesteps.length - 1)
        return { sample: denoised, state: advance(state), predictedOriginal };
      const kept = alphaAt(table, next) / target;
      const noised = weightedSum([Math.sqrt(kept), denoised], [Math.sqrt(1 - kept), draw()]);
      return { sample: noised, state: advance(state), predictedOriginal };
    },
  };
}
