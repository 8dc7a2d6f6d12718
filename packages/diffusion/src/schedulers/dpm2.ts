import { roundHalfToEven } from "../round-half-to-even.ts";
import { entry, eulerStep, weightedSum } from "./arithmetic.ts";
import type { NoiseTable } from "./betas.ts";
import { LATENT_BETAS, noiseTable } from "./betas.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { type DiscreteSigmas, discreteSigmas } from "./discrete-sigmas.ts";
import { predictOriginalAtSigma, readPrediction } from "./prediction.ts";
import { advance, scaleToUnit, sigmaSpace, sigmaSpaceSpacing } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, readSigmaSpacing, timestepOfSigma } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

/** DPM-Solver-2 over sigma (Karras et al. 2022, arXiv 2206.00364, section 3; k-diffusion's `sample_dpm_2`), as diffusers' `KDPM2DiscreteScheduler`. */
export const dpm2: SchedulerDefinition = {
  className: "KDPM2DiscreteScheduler",
  names: { DPM2: {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform"],
  create: createDpm2,
};

/** `history` in the middle of a step: the sample at its beginning. */
function createDpm2(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  const table = noiseTable(config, LATENT_BETAS);
  const prediction = readPrediction(config, ["epsilon", "v_prediction"]);
  const spaced = dpm2Levels(config, run, table);
  const levels = closedSigmas(spaced.sigmas, 0);
  const between = levels.subarray(1, -1).map((sigma, i) => geometricMean(sigma, entry(levels, i)));
  const tables = interleave(spaced.timesteps, levels, between, table);
  const base = sigmaSpace(tables.timesteps, tables.sigmas, sigmaSpaceSpacing(config), table.length);
  return {
    ...base,
    order: 2,
    scaleModelInput: (sample, state) =>
      state.history.length === 0 ? base.scaleModelInput(sample, state) : scaleToUnit(sample, middleOf(between, state.index - 1)),
    step(output, sample, state) {
      // The table of levels is longer than the run, so it would not notice a step after the last.
      entry(tables.timesteps, state.index);
      const [start] = state.history;
      const from = entry(tables.sigmas, start === undefined ? state.index : state.index - 1);
      const middle = middleOf(between, start === undefined ? state.index : state.index - 1);
      const here = start === undefined ? from : middle;
      const predictedOriginal = predictOriginalAtSigma(prediction, output, sample, here);
      if (start === undefined)
        return { sample: eulerStep(sample, predictedOriginal, from, middle), state: advance(state, [sample]), predictedOriginal };
      const slope = (entry(tables.sigmas, state.index) - from) / here;
      return {
        sample: weightedSum([1, start], [slope, sample], [-slope, predictedOriginal]),
        state: advance(state),
        predictedOriginal,
      };
    },
  };
}

/** Timesteps and levels of whole steps, without the closing one. The timesteps of Karras' levels are rounded. */
export function dpm2Levels(config: SchedulerConfig, run: SchedulerRun, table: NoiseTable): DiscreteSigmas {
  refuseGiven(run, "timesteps", "sigmas");
  const spaced = discreteSigmas(config, run, table);
  if (readSigmaSpacing(config, ["karras"], false) === undefined) return spaced;
  return { timesteps: spaced.timesteps.map(roundHalfToEven), sigmas: spaced.sigmas };
}

/**
 * The tables of a run with an evaluation between each two levels. The levels stand as diffusers lists them:
 * the first once, every other twice, and the closing zero once more.
 */
export function interleave(
  timesteps: Float64Array,
  levels: Float64Array,
  between: Float64Array,
  table: NoiseTable,
): DiscreteSigmas {
  const [first = 0, ...others] = levels;
  const middles = [...between].flatMap((sigma, i) => [timestepOfSigma(sigma, table), entry(timesteps, i + 1)]);
  return {
    timesteps: Float64Array.from([entry(timesteps, 0), ...middles]),
    sigmas: Float64Array.from([first, ...others.flatMap((sigma) => [sigma, sigma]), 0]),
  };
}

/** The level in the middle of the step whose first evaluation is `index`; the last step goes straight to zero. */
export function middleOf(between: Float64Array, index: number): number {
  return between[index / 2] ?? 0;
}

function geometricMean(a: number, b: number): number {
  return Math.fround(Math.exp((Math.log(a) + Math.log(b)) / 2));
}
