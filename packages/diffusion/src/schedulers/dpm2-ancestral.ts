import { entry, eulerStep, weightedSum } from "./arithmetic.ts";
import { LATENT_BETAS, noiseTable } from "./betas.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { dpm2Levels, interleave, middleOf } from "./dpm2.ts";
import { ancestralSplit } from "./euler-ancestral.ts";
import { predictOriginalAtSigma, readPrediction } from "./prediction.ts";
import { advance, scaleToUnit, sigmaSpace, sigmaSpaceSpacing } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas } from "./sigmas.ts";

/** DPM-Solver-2 with ancestral noise (k-diffusion's `sample_dpm_2_ancestral`), as diffusers' `KDPM2AncestralDiscreteScheduler`. */
export const dpm2Ancestral: SchedulerDefinition = {
  className: "KDPM2AncestralDiscreteScheduler",
  names: { "DPM2 a": {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform"],
  create: createDpm2Ancestral,
};

/** `history` in the middle of a step: the sample at its beginning. */
function createDpm2Ancestral(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  const table = noiseTable(config, LATENT_BETAS);
  const prediction = readPrediction(config, ["epsilon", "v_prediction"]);
  const spaced = dpm2Levels(config, run, table);
  const levels = closedSigmas(spaced.sigmas, 0);
  const between = levels.subarray(0, -2).map((sigma, i) => {
    const { down } = ancestralSplit(sigma, entry(levels, i + 1));
    return Math.fround(Math.exp((Math.log(sigma) + Math.log(down)) / 2));
  });
  const tables = interleave(spaced.timesteps, levels, between, table);
  const base = sigmaSpace(tables.timesteps, tables.sigmas, sigmaSpaceSpacing(config), table.length);
  return {
    ...base,
    order: 2,
    scaleModelInput: (sample, state) =>
      state.history.length === 0 ? base.scaleModelInput(sample, state) : scaleToUnit(sample, middleOf(between, state.index - 1)),
    step(output, sample, state, draw) {
      // The table of levels is longer than the run, so it would not notice a step after the last.
      entry(tables.timesteps, state.index);
      const [start] = state.history;
      if (start === undefined) {
        const from = entry(tables.sigmas, state.index);
        const predictedOriginal = predictOriginalAtSigma(prediction, output, sample, from);
        return {
          sample: eulerStep(sample, predictedOriginal, from, middleOf(between, state.index)),
          state: advance(state, [sample]),
          predictedOriginal,
        };
      }
      const from = entry(tables.sigmas, state.index - 1);
      const { down, up } = ancestralSplit(from, entry(tables.sigmas, state.index));
      const middle = middleOf(between, state.index - 1);
      const predictedOriginal = predictOriginalAtSigma(prediction, output, sample, middle);
      const slope = (down - from) / middle;
      const next = weightedSum([1, start], [slope, sample], [-slope, predictedOriginal], [up, draw()]);
      return { sample: next, state: advance(state), predictedOriginal };
    },
  };
}
