import { entry, eulerStep, weightedSum } from "./arithmetic.ts";
import { LATENT_BETAS, noiseTable } from "./betas.ts";
import { readOptionalNumber } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { discreteSigmas } from "./discrete-sigmas.ts";
import { ancestralSplit } from "./euler-ancestral.ts";
import { doubleInner } from "./heun.ts";
import { predictOriginalAtSigma, readPrediction } from "./prediction.ts";
import { advance, scaleToUnit, sigmaSpace, sigmaSpaceSpacing } from "./run-tables.ts";
import type { BrownianInterval, NoiseDraw, Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, timestepOfSigma } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

/** DPM-Solver++ as a stochastic solver with Brownian noise (k-diffusion's `sample_dpmpp_sde`), as diffusers' `DPMSolverSDEScheduler`. */
export const dpmSde: SchedulerDefinition = {
  className: "DPMSolverSDEScheduler",
  names: { "DPM++ SDE": {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform"],
  create: createDpmSde,
};

/** `history` in the middle of a step: the sample at its beginning. */
function createDpmSde(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "timesteps", "sigmas");
  const table = noiseTable(config, LATENT_BETAS);
  const prediction = readPrediction(config, ["epsilon", "v_prediction"]);
  const spaced = discreteSigmas(config, run, table, ["karras"]);
  const timesteps = doubleInner(spaced.timesteps, false);
  spaced.sigmas.subarray(1).forEach((sigma, i) => {
    timesteps[2 * i + 1] = timestepOfSigma(Math.sqrt(sigma * entry(spaced.sigmas, i)), table);
  });
  const sigmas = doubleInner(closedSigmas(spaced.sigmas, 0), true);
  const base = sigmaSpace(timesteps, sigmas, sigmaSpaceSpacing(config), table.length);
  return {
    ...base,
    order: 2,
    brownian: brownianInterval(config, sigmas),
    scaleModelInput: (sample, state) =>
      state.history.length === 0
        ? base.scaleModelInput(sample, state)
        : scaleToUnit(sample, middle(entry(sigmas, state.index - 1), entry(sigmas, state.index))),
    step(output, sample, state, draw) {
      const [start] = state.history;
      const from = entry(sigmas, start === undefined ? state.index : state.index - 1);
      const to = entry(sigmas, start === undefined ? state.index + 1 : state.index);
      const halfway = to === 0 ? 0 : middle(from, to);
      const predictedOriginal = predictOriginalAtSigma(prediction, output, sample, start === undefined ? from : halfway);
      if (to === 0) return { sample: eulerStep(sample, predictedOriginal, from, 0), state: advance(state), predictedOriginal };
      const next = noisedStep(start ?? sample, predictedOriginal, from, start === undefined ? halfway : throughLog(to), draw);
      return { sample: next, state: advance(state, start === undefined ? [sample] : []), predictedOriginal };
    },
  };
}

/** An exponential step to the ancestral level below `to`, and the path's noise on top. */
function noisedStep(sample: Float32Array, original: Float32Array, from: number, to: number, draw: NoiseDraw): Float32Array {
  const { up: whole } = ancestralSplit(from, to);
  const up = Math.min(to, whole);
  const ratio = Math.sqrt(to ** 2 - up ** 2) / from;
  return weightedSum([ratio, sample], [1 - ratio, original], [up, draw(throughLog(from), to)]);
}

function brownianInterval(config: SchedulerConfig, sigmas: Float64Array): BrownianInterval {
  const levels = sigmas.filter((sigma) => sigma > 0);
  const seed = readOptionalNumber(config, "noise_sampler_seed", 0, Number.MAX_SAFE_INTEGER);
  const ends = { sigmaMin: levels.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY), sigmaMax: entry(levels, 0) };
  return seed === undefined ? ends : { ...ends, seed };
}

/** The geometric mean by way of the logarithms, in float32 as diffusers computes it: the Brownian path is rough enough to tell. */
function middle(from: number, to: number): number {
  const [t, next] = [negativeLog(from), negativeLog(to)];
  return Math.fround(Math.exp(-Math.fround(t + Math.fround(Math.fround(next - t) / 2))));
}

/** A level after its way to the logarithm and back in float32. */
function throughLog(sigma: number): number {
  return Math.fround(Math.exp(-negativeLog(sigma)));
}

function negativeLog(sigma: number): number {
  return Math.fround(-Math.log(sigma));
}
