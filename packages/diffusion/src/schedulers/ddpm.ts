import { roundHalfToEven } from "../round-half-to-even.ts";
import { entry, type Term, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import { readChoice } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { mixtureOfAlpha, predictOriginal, readLimiter, readPrediction } from "./prediction.ts";
import { advance, alphaAt, timestepSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { readGivenTimesteps, readSteps, refuseGiven, spacedTimesteps } from "./spacing.ts";

/** Variances below this are drawn as if they were this, so that a logarithm stays finite. */
const SMALLEST_VARIANCE = 1e-20;

/** Denoising diffusion probabilistic models (Ho et al. 2020, arXiv 2006.11239, equations 6 and 7), as diffusers' `DDPMScheduler`. */
export const ddpm: SchedulerDefinition = {
  className: "DDPMScheduler",
  names: { DDPM: {} },
  spacings: ["SGM Uniform", "AYS"],
  create: createDdpm,
};

function createDdpm(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "sigmas");
  const table = noiseTable(config, DDPM_BETAS);
  const prediction = readPrediction(config);
  const limit = readLimiter(config, true);
  // `fixed_small_log` is the same deviation by way of a logarithm. Learned variances need a network that answers them.
  const large =
    readChoice(config, "variance_type", ["fixed_small", "fixed_small_log", "fixed_large"], "fixed_small") === "fixed_large";
  const given = readGivenTimesteps(run, table.length);
  const spaced = given ?? spacedTimesteps(config, "leading", readSteps(run, table.length), table.length);
  const timesteps = Float64Array.from(spaced, given === undefined ? roundHalfToEven : Math.trunc);
  return {
    ...timestepSpace(timesteps, table),
    order: 1,
    step(output, sample, state, draw) {
      const timestep = entry(timesteps, state.index);
      const next = timesteps[state.index + 1];
      const alpha = alphaAt(table, timestep);
      const before = next === undefined ? 1 : alphaAt(table, next);
      const kept = alpha / before;
      const predictedOriginal = limit(predictOriginal(prediction, output, sample, mixtureOfAlpha(alpha)));
      const terms: Term[] = [
        [(Math.sqrt(before) * (1 - kept)) / (1 - alpha), predictedOriginal],
        [(Math.sqrt(kept) * (1 - before)) / (1 - alpha), sample],
      ];
      const variance = Math.max(((1 - before) / (1 - alpha)) * (1 - kept), SMALLEST_VARIANCE);
      if (timestep > 0) terms.push([Math.sqrt(large ? 1 - kept : variance), draw()]);
      return { sample: weightedSum(...terms), state: advance(state), predictedOriginal };
    },
  };
}
