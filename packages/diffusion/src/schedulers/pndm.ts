import { KilnError } from "../errors.ts";
import { roundHalfToEven } from "../round-half-to-even.ts";
import { entry, type Term, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, type NoiseTable, noiseTable } from "./betas.ts";
import { readFlag } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { mixtureOfAlpha, predictNoise, predictOriginal, readPrediction } from "./prediction.ts";
import { advance, alphaAt, timestepSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun, SchedulerState } from "./scheduler.ts";
import { readSteps, refuseGiven, spacedTimesteps } from "./spacing.ts";

/** Steps at the beginning that the Runge-Kutta form does with four evaluations each. */
const RUNGE_KUTTA_STEPS = 4;

/** Adams and Bashforth's weights, newest first, by the number of outputs that there are. */
const MULTISTEP_WEIGHTS: readonly (readonly number[])[] = [
  [],
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
];
/** The share of each of a Runge-Kutta step's four outputs. */
const RUNGE_KUTTA_WEIGHTS = [1 / 6, 1 / 3, 1 / 3, 1 / 6];

/** Pseudo numerical methods (Liu et al. 2022, arXiv 2202.09778, equations 9 to 13), as diffusers' `PNDMScheduler`. */
export const pndm: SchedulerDefinition = {
  className: "PNDMScheduler",
  names: { PNDM: { skip_prk_steps: true }, PLMS: { skip_prk_steps: true } },
  spacings: ["SGM Uniform"],
  create: createPndm,
};

/**
 * `numbers.done` counts evaluations since the run began, `numbers.kept` the earlier outputs at the front of `history`.
 * Behind them stand, where a step is half done, the sample at its beginning and the sum of its outputs so far.
 */
function createPndm(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "timesteps", "sigmas");
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "ignored" });
  const steps = readSteps(run, table.length);
  const spaced = spacedTimesteps(config, "leading", steps, table.length).map(roundHalfToEven).reverse();
  const stride = Math.floor(table.length / steps);
  const rungeKutta = readFlag(config, "skip_prk_steps", false) ? [] : rungeKuttaTimesteps(spaced, Math.floor(stride / 2));
  const timesteps = Float64Array.from([...rungeKutta, ...multistepTimesteps(spaced, rungeKutta.length > 0)]);
  const prediction = readPrediction(config, ["epsilon", "v_prediction"]);
  const move = mover(config, table, prediction);
  const predicted = (output: Float32Array, sample: Float32Array, index: number): Float32Array =>
    predictOriginal(prediction, output, sample, mixtureOfAlpha(alphaAt(table, entry(timesteps, index))));
  return {
    ...timestepSpace(timesteps, table),
    order: 1,
    step(output, sample, state) {
      const timestep = entry(timesteps, state.index);
      const done = state.numbers.done ?? 0;
      const predictedOriginal = predicted(output, sample, state.index);
      if (done < rungeKutta.length) {
        const half = done % 2 === 0 ? Math.floor(stride / 2) : 0;
        const from = rungeKutta[Math.floor(done / 4) * 4] ?? timestep;
        return {
          ...rungeKuttaStep(output, sample, state, done, (base, direction) => move(base, direction, from, timestep - half)),
          predictedOriginal,
        };
      }
      return { ...multistep(output, sample, state, done, timestep, stride, move), predictedOriginal };
    },
  };
}

type Move = (sample: Float32Array, output: Float32Array, from: number, to: number) => Float32Array;

function rungeKuttaStep(
  output: Float32Array,
  sample: Float32Array,
  state: SchedulerState,
  done: number,
  move: (base: Float32Array, direction: Float32Array) => Float32Array,
) {
  const phase = done % 4;
  const kept = state.numbers.kept ?? 0;
  const outputs = state.history.slice(0, kept);
  const [start = sample, sum] = state.history.slice(kept);
  const term: Term = [RUNGE_KUTTA_WEIGHTS[phase] ?? 0, output];
  const total = sum === undefined ? weightedSum(term) : weightedSum([1, sum], term);
  if (phase === 3) return { sample: move(start, total), state: advance(state, outputs, { done: done + 1, kept }) };
  const known = phase === 0 ? [...outputs, output].slice(-3) : outputs;
  return { sample: move(start, output), state: advance(state, [...known, start, total], { done: done + 1, kept: known.length }) };
}

/** The second evaluation of a run repeats its first step with the mean of both outputs. */
function multistep(
  output: Float32Array,
  sample: Float32Array,
  state: SchedulerState,
  done: number,
  timestep: number,
  stride: number,
  move: Move,
) {
  const kept = state.numbers.kept ?? 0;
  const outputs = state.history.slice(0, kept);
  const [start, first] = [state.history[kept], outputs[0]];
  if (done === 1 && start !== undefined && first !== undefined) {
    const mean = weightedSum([0.5, output], [0.5, first]);
    return { sample: move(start, mean, timestep + stride, timestep), state: advance(state, outputs, { done: 2, kept }) };
  }
  const all = [...outputs.slice(-3), output];
  const weights = MULTISTEP_WEIGHTS[all.length] ?? [];
  const direction = weightedSum(...all.map((values, i): Term => [weights[all.length - 1 - i] ?? 0, values]));
  const known = all.slice(-3);
  const history = done === 0 ? [...known, sample] : known;
  return {
    sample: move(sample, direction, timestep, timestep - stride),
    state: advance(state, history, { done: done + 1, kept: known.length }),
  };
}

/** Equation 11 of the paper: from one timestep to another along a direction that stands for the noise. */
function mover(config: SchedulerConfig, table: NoiseTable, prediction: "epsilon" | "v_prediction" | "sample"): Move {
  const finalAlpha = readFlag(config, "set_alpha_to_one", false) ? 1 : entry(table.alphasCumprod, 0);
  return (sample, output, from, to) => {
    const alpha = alphaAt(table, from);
    const next = to >= 0 ? alphaAt(table, to) : finalAlpha;
    const noise = predictNoise(prediction, output, sample, mixtureOfAlpha(alpha));
    const divisor = alpha * Math.sqrt(1 - next) + Math.sqrt(alpha * (1 - alpha) * next);
    return weightedSum([Math.sqrt(next / alpha), sample], [(alpha - next) / divisor, noise]);
  };
}

/** Each of the first steps at its beginning, twice in its middle and at its end. */
function rungeKuttaTimesteps(rising: Float64Array, half: number): number[] {
  if (rising.length < RUNGE_KUTTA_STEPS) {
    const message = `steps must be at least ${RUNGE_KUTTA_STEPS} for PNDM with Runge-Kutta steps; take more steps, or set skip_prk_steps.`;
    throw new KilnError("invalid_request", message, { subject: "steps" });
  }
  const points = [...rising.subarray(-RUNGE_KUTTA_STEPS)].flatMap((timestep) => [timestep, timestep + half]).slice(0, -1);
  return points
    .flatMap((timestep) => [timestep, timestep])
    .slice(1, -1)
    .reverse();
}

function multistepTimesteps(rising: Float64Array, afterRungeKutta: boolean): number[] {
  const falling = [...rising].reverse();
  if (afterRungeKutta) return falling.slice(RUNGE_KUTTA_STEPS - 1);
  return falling.flatMap((timestep, i) => (i === 1 ? [timestep, timestep] : [timestep]));
}
