import { entry, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, LATENT_BETAS, noiseTable } from "./betas.ts";
import { readNumber } from "./config.ts";
import { consistencyTimesteps } from "./consistency-timesteps.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { mixtureOfAlpha, predictOriginal, readLimiter, readPrediction } from "./prediction.ts";
import { advance, alphaAt, timestepSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { refuseGiven } from "./spacing.ts";

/** The deviation of the data that the boundary condition assumes. */
const SIGMA_DATA = 0.5;

/** Defaults of the schedulers for consistency models. */
export const CONSISTENCY_BETAS = {
  ...LATENT_BETAS,
  betaSchedule: "scaled_linear",
  zeroTerminal: DDPM_BETAS.zeroTerminal,
} as const;

/** Multistep sampling of latent consistency models (Luo et al. 2023, arXiv 2310.04378, algorithm 3), as diffusers' `LCMScheduler`. */
export const lcm: SchedulerDefinition = {
  className: "LCMScheduler",
  names: { LCM: {} },
  spacings: [],
  create: createLcm,
};

function createLcm(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "sigmas");
  const table = noiseTable(config, CONSISTENCY_BETAS);
  const prediction = readPrediction(config);
  const limit = readLimiter(config, false);
  const scaling = readNumber(config, "timestep_scaling", 10, 0);
  const timesteps = consistencyTimesteps(config, run, table.length);
  return {
    ...timestepSpace(timesteps, table),
    order: 1,
    step(output, sample, state, draw) {
      const timestep = entry(timesteps, state.index);
      const original = limit(predictOriginal(prediction, output, sample, mixtureOfAlpha(alphaAt(table, timestep))));
      const time = timestep * scaling;
      const norm = time ** 2 + SIGMA_DATA ** 2;
      const denoised = weightedSum([time / Math.sqrt(norm), original], [SIGMA_DATA ** 2 / norm, sample]);
      const next = timesteps[state.index + 1];
      if (next === undefined) return { sample: denoised, state: advance(state), predictedOriginal: denoised };
      const { alpha, sigma } = mixtureOfAlpha(alphaAt(table, next));
      return { sample: weightedSum([alpha, denoised], [sigma, draw()]), state: advance(state), predictedOriginal: denoised };
    },
  };
}
