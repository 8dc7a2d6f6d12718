import { entry, solveLinear, type Term, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import { readChoice, readFlag, readInteger, readNumbers } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { solverSigmas } from "./discrete-sigmas.ts";
import { pathPoint } from "./dpm-multistep.ts";
import type { PathPoint } from "./dpm-solver.ts";
import { mixtureOfRatio, predictNoise, predictOriginal, readLimiter, readPrediction } from "./prediction.ts";
import { advance, ratioSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, readFinalSigma, readSigmaSpacing, type SigmaSpacing } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

const SUPPORTED: readonly SigmaSpacing[] = ["karras", "exponential", "beta"];

/** The unified predictor-corrector (Zhao et al. 2023, arXiv 2302.04867, algorithms 5 to 8), as diffusers' `UniPCMultistepScheduler`. */
export const unipc: SchedulerDefinition = {
  className: "UniPCMultistepScheduler",
  names: { UniPC: {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform"],
  create: createUnipc,
};

/** `history`: the sample before the last step, then the outputs before, newest last. `numbers.order`: that step's order. */
function createUnipc(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "timesteps", "sigmas");
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "clamped" });
  const prediction = readPrediction(config);
  const limit = readLimiter(config, "absent");
  const onSamples = readFlag(config, "predict_x0", true);
  const order = readInteger(config, "solver_order", 2, 1, 3);
  const lowerFinal = readFlag(config, "lower_order_final", true);
  const uncorrected = readNumbers(config, "disable_corrector") ?? [];
  const spaced = solverSigmas(config, run, table, { supported: SUPPORTED, spaced: true });
  const smallest =
    readSigmaSpacing(config, SUPPORTED, false) === undefined ? table.sigmas[0] : spaced.sigmas[spaced.sigmas.length - 1];
  const sigmas = closedSigmas(spaced.sigmas, readFinalSigma(config, smallest ?? 0));
  const rule = { sigmas, onSamples, solverType: readSolverType(config) };
  return {
    ...ratioSpace(spaced.timesteps, sigmas, table.length),
    order: 1,
    step(output, sample, state) {
      const { index } = state;
      const mixture = mixtureOfRatio(entry(sigmas, index));
      const predictedOriginal = limit(predictOriginal(prediction, output, sample, mixture));
      const converted = onSamples ? predictedOriginal : predictNoise(prediction, output, sample, mixture);
      const [before, ...outputs] = state.history;
      const correct = before !== undefined && !uncorrected.includes(index - 1);
      const corrected = correct ? update(rule, index - 1, state.numbers.order ?? 1, before, outputs, converted) : sample;
      const all = [...outputs, converted].slice(-order);
      const here = Math.min(lowerFinal ? Math.min(order, spaced.timesteps.length - index) : order, outputs.length + 1);
      const next = update(rule, index, here, corrected, all, undefined);
      return { sample: next, state: advance(state, [corrected, ...all], { order: here }), predictedOriginal };
    },
  };
}

type SolverType = "bh1" | "bh2";

function readSolverType(config: SchedulerConfig): SolverType {
  return readChoice(config, "solver_type", ["bh1", "bh2"], "bh2", { midpoint: "bh2", heun: "bh2", logrho: "bh2" });
}

interface Rule {
  readonly sigmas: Float64Array;
  /** Whether outputs are predicted samples; else they are predicted noise. */
  readonly onSamples: boolean;
  readonly solverType: SolverType;
}

/**
 * One step from level `index` to the next: the predictor, or the corrector where the output at the next level is known.
 * @param outputs newest last; the newest was made at level `index`
 */
function update(
  rule: Rule,
  index: number,
  order: number,
  sample: Float32Array,
  outputs: readonly Float32Array[],
  reached: Float32Array | undefined,
): Float32Array {
  const point = (at: number): PathPoint => pathPoint(entry(rule.sigmas, at));
  const [from, to] = [point(index), point(index + 1)];
  const h = to.lambda - from.lambda;
  const signed = rule.onSamples ? -h : h;
  const gain = Math.expm1(signed);
  const [ratio, factor] = rule.onSamples ? [to.sigma / from.sigma, to.alpha] : [to.alpha / from.alpha, to.sigma];
  const newest = outputs.at(-1) ?? sample;
  const terms: Term[] = [
    [ratio, sample],
    [-factor * gain, newest],
  ];
  const distances = Array.from({ length: order - 1 }, (_, i) => (point(index - 1 - i).lambda - from.lambda) / h);
  if (distances.length === 0 && reached === undefined) return weightedSum(...terms);
  const scale = rule.solverType === "bh1" ? signed : gain;
  const weights = differenceWeights(distances, signed, scale, reached !== undefined);
  const add = (weight: number, values: Float32Array): void => {
    terms.push([-factor * scale * weight, values], [factor * scale * weight, newest]);
  };
  distances.forEach((distance, i) => {
    add((weights[i] ?? 0) / distance, outputs.at(-2 - i) ?? newest);
  });
  if (reached !== undefined) add(weights[distances.length] ?? 0, reached);
  return weightedSum(...terms);
}

/** The weights of the differences, which make the step exact for polynomials (equation 9); the lowest orders are given their limits. */
function differenceWeights(distances: readonly number[], h: number, scale: number, corrector: boolean): number[] {
  if (distances.length === (corrector ? 0 : 1)) return [0.5];
  const nodes = corrector ? [...distances, 1] : distances;
  const right: number[] = [];
  let phi = Math.expm1(h) / h - 1;
  let factorial = 1;
  for (let i = 1; i <= nodes.length; i++) {
    right.push((phi * factorial) / scale);
    factorial *= i + 1;
    phi = phi / h - 1 / factorial;
  }
  return solveLinear(
    nodes.map((_, power) => nodes.map((node) => node ** power)),
    right,
  );
}
