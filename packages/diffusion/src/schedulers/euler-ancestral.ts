import { entry, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { predictOriginalAtSigma, readPrediction } from "./prediction.ts";
import { advance, sigmaSpace, sigmaSpaceSpacing } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, sigmasAt } from "./sigmas.ts";
import { readSteps, refuseGiven, spacedTimesteps } from "./spacing.ts";

/** Euler's method with ancestral noise (k-diffusion's `sample_euler_ancestral`), as diffusers' `EulerAncestralDiscreteScheduler`. */
export const eulerAncestral: SchedulerDefinition = {
  className: "EulerAncestralDiscreteScheduler",
  names: { "Euler a": {} },
  spacings: ["SGM Uniform"],
  create: createEulerAncestral,
};

function createEulerAncestral(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "timesteps", "sigmas");
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "clamped" });
  const prediction = readPrediction(config, ["epsilon", "v_prediction"]);
  const timesteps = spacedTimesteps(config, "linspace", readSteps(run, table.length), table.length).map(Math.fround);
  const sigmas = closedSigmas(sigmasAt(timesteps, table), 0);
  return {
    ...sigmaSpace(timesteps, sigmas, sigmaSpaceSpacing(config), table.length),
    order: 1,
    step(output, sample, state, draw) {
      const sigma = entry(sigmas, state.index);
      const predictedOriginal = predictOriginalAtSigma(prediction, output, sample, sigma);
      const { down, up } = ancestralSplit(sigma, entry(sigmas, state.index + 1));
      const next = weightedSum([down / sigma, sample], [1 - down / sigma, predictedOriginal], [up, draw()]);
      return { sample: next, state: advance(state), predictedOriginal };
    },
  };
}

/**
 * The noise level to go down to and the deviation of the noise to add, which together make the level `to`.
 * In float32, as diffusers computes them: where a step is long, the difference of squares loses digits that show.
 */
export function ancestralSplit(from: number, to: number): { readonly down: number; readonly up: number } {
  const [start, end] = [square(from), square(to)];
  const up = Math.fround(Math.sqrt(Math.fround(Math.fround(end * Math.fround(start - end)) / start)));
  return { down: Math.fround(Math.sqrt(Math.fround(end - square(up)))), up };
}

function square(value: number): number {
  return Math.fround(value * value);
}
