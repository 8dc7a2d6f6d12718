import { roundHalfToEven } from "../round-half-to-even.ts";
import { entry, type Term, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import { badValue, readFlag } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { mixtureOfAlpha, predictNoise, predictOriginal, readLimiter, readPrediction } from "./prediction.ts";
import { advance, alphaAt, timestepSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { readSteps, refuseGiven, spacedTimesteps } from "./spacing.ts";

/** Denoising diffusion implicit models (Song et al. 2020, arXiv 2010.02502, equation 12), as diffusers' `DDIMScheduler`. */
export const ddim: SchedulerDefinition = {
  className: "DDIMScheduler",
  names: { DDIM: {} },
  spacings: ["SGM Uniform"],
  create: createDdim,
};

function createDdim(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "timesteps", "sigmas");
  const table = noiseTable(config, DDPM_BETAS);
  const prediction = readPrediction(config);
  const limit = readLimiter(config, true);
  const eta = readEta(run, 0);
  const steps = readSteps(run, table.length);
  const finalAlpha = readFlag(config, "set_alpha_to_one", true) ? 1 : entry(table.alphasCumprod, 0);
  const timesteps = spacedTimesteps(config, "leading", steps, table.length).map(roundHalfToEven);
  const stride = Math.floor(table.length / steps);
  return {
    ...timestepSpace(timesteps, table),
    order: 1,
    step(output, sample, state, draw) {
      const timestep = entry(timesteps, state.index);
      const alpha = alphaAt(table, timestep);
      const before = timestep - stride >= 0 ? alphaAt(table, timestep - stride) : finalAlpha;
      const mixture = mixtureOfAlpha(alpha);
      const predictedOriginal = limit(predictOriginal(prediction, output, sample, mixture));
      const noise = predictNoise(prediction, output, sample, mixture);
      const deviation = eta * Math.sqrt(Math.max(((1 - before) / (1 - alpha)) * (1 - alpha / before), 0));
      const terms: Term[] = [
        [Math.sqrt(before), predictedOriginal],
        [Math.sqrt(Math.max(1 - before - deviation ** 2, 0)), noise],
      ];
      if (eta > 0) terms.push([deviation, draw()]);
      return { sample: weightedSum(...terms), state: advance(state), predictedOriginal };
    },
  };
}

/** The share of the noise that is renewed at each step, from 0 to 1. */
export function readEta(run: SchedulerRun, fallback: number): number {
  const eta = run.eta ?? fallback;
  if (eta >= 0 && eta <= 1) return eta;
  throw badValue("eta", eta, "a number from 0 to 1");
}
