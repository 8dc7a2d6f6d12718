import { entry, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import { badValue, readFlag, readInteger } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { solverSigmas } from "./discrete-sigmas.ts";
import {
  type DpmAlgorithm,
  type DpmSolverType,
  dpmUpdate,
  firstDifference,
  isStochastic,
  type PathPoint,
  readDpmAlgorithm,
  readDpmSolverType,
  scaleTerms,
} from "./dpm-solver.ts";
import { mixtureOfRatio, predictNoise, predictOriginal, readLimiter, readPrediction } from "./prediction.ts";
import { advance, ratioSpace } from "./run-tables.ts";
import type { NoiseDraw, Scheduler, SchedulerConfig, SchedulerRun, SchedulerState, SchedulerStep } from "./scheduler.ts";
import { closedSigmas, readFinalSigma } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

/** Runs shorter than this end with lower orders where `lower_order_final` is set. */
const SHORT_RUN = 15;

/** DPM-Solver and DPM-Solver++ as multistep methods (Lu et al. 2022, arXiv 2211.01095, algorithm 2), as diffusers' `DPMSolverMultistepScheduler`. */
export const dpmMultistep: SchedulerDefinition = {
  className: "DPMSolverMultistepScheduler",
  names: {
    "DPM++ 2M": { solver_order: 2, algorithm_type: "dpmsolver++" },
    "DPM++ 3M": { solver_order: 3, algorithm_type: "dpmsolver++" },
    "DPM++ 2M SDE": { solver_order: 2, algorithm_type: "sde-dpmsolver++" },
    "DPM++ 2M SDE Heun": { solver_order: 2, algorithm_type: "sde-dpmsolver++", solver_type: "heun" },
    "DPM++ 3M SDE": { solver_order: 3, algorithm_type: "sde-dpmsolver++" },
  },
  spacings: ["Karras", "Exponential", "Beta", "Lu", "SGM Uniform", "AYS"],
  create: createDpmMultistep,
};

function createDpmMultistep(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "sigmas");
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "clamped" });
  const algorithm = readDpmAlgorithm(config);
  const prediction = readPrediction(config);
  const limit = readLimiter(config, "absent");
  const spaced = solverSigmas(config, run, table, {
    supported: ["karras", "lu", "exponential", "beta"],
    spaced: true,
    cosineKeepsFractions: true,
  });
  const sigmas = closedSigmas(spaced.sigmas, readFinalSigma(config, table.sigmas[0] ?? 0));
  const solver = multistepSolver(config, algorithm, sigmas, pathPoint);
  return {
    ...ratioSpace(spaced.timesteps, sigmas, table.length),
    order: 1,
    step(output, sample, state, draw) {
      const mixture = mixtureOfRatio(entry(sigmas, state.index));
      const predictedOriginal = limit(predictOriginal(prediction, output, sample, mixture));
      if (algorithm.endsWith("++")) return { ...solver(predictedOriginal, sample, state, draw), predictedOriginal };
      const noise = readFlag(config, "thresholding", false)
        ? weightedSum([1 / mixture.sigma, sample], [-mixture.alpha / mixture.sigma, predictedOriginal])
        : predictNoise(prediction, output, sample, mixture);
      return { ...solver(noise, sample, state, draw), predictedOriginal };
    },
  };
}

/** A place on the path of samples of unit variance, by the ratio of noise to signal. */
export function pathPoint(ratio: number): PathPoint {
  return { ...mixtureOfRatio(ratio), lambda: -Math.log(ratio) };
}

/**
 * The multistep rule, which the solver for EDM's samples shares. `history`: the outputs before, newest last.
 * @param place how a level of `sigmas` stands on the path
 */
export function multistepSolver(
  config: SchedulerConfig,
  algorithm: DpmAlgorithm,
  sigmas: Float64Array,
  place: (sigma: number) => PathPoint,
): (output: Float32Array, sample: Float32Array, state: SchedulerState, draw: NoiseDraw) => SchedulerStep {
  const solverType = readDpmSolverType(config);
  const order = readInteger(config, "solver_order", 2, 1, 3);
  if (order === 3 && algorithm === "sde-dpmsolver")
    throw badValue("solver_order", order, "1 or 2 where algorithm_type is sde-dpmsolver");
  const orderOf = finalOrders(config, order, sigmas.length - 1);
  return (output, sample, state, draw) => {
    const noise = isStochastic(algorithm) ? draw() : undefined;
    const outputs = [...state.history, output];
    const differences = divide(outputs, Math.min(orderOf(state.index), outputs.length), sigmas, state.index, place);
    const points = { from: place(entry(sigmas, state.index)), to: place(entry(sigmas, state.index + 1)) };
    const type: DpmSolverType = differences.second === undefined ? solverType : "heun";
    const next = dpmUpdate({ algorithm, sample, ...points, value: output, ...differences, solverType: type, noise });
    return { sample: next, state: advance(state, order === 1 ? [] : outputs.slice(1 - order)) };
  };
}

/** The order that the end of a run allows: the first at a closing zero, and lower ones at the end of short runs. */
function finalOrders(config: SchedulerConfig, order: number, evaluations: number): (index: number) => number {
  const lowerFinal = readFlag(config, "lower_order_final", true) && evaluations < SHORT_RUN;
  const firstAtEnd = readFlag(config, "euler_at_final", false) || lowerFinal || (config.final_sigmas_type ?? "zero") === "zero";
  return (index) => {
    if (index === evaluations - 1 && firstAtEnd) return 1;
    return index === evaluations - 2 && lowerFinal ? Math.min(order, 2) : order;
  };
}

function divide(
  outputs: readonly Float32Array[],
  order: number,
  sigmas: Float64Array,
  index: number,
  place: (sigma: number) => PathPoint,
) {
  const [oldest, older, newest] = [outputs.at(-3), outputs.at(-2), outputs.at(-1)];
  if (order === 1 || older === undefined || newest === undefined) return {};
  const lambda = (back: number): number => place(entry(sigmas, index - back)).lambda;
  const h = place(entry(sigmas, index + 1)).lambda - lambda(0);
  const r0 = (lambda(0) - lambda(1)) / h;
  const near = firstDifference(r0, newest, older);
  if (order === 2 || oldest === undefined) return { first: near };
  const r1 = (lambda(1) - lambda(2)) / h;
  const bend = [...near, ...scaleTerms(-1, firstDifference(r1, older, oldest))];
  return { first: [...near, ...scaleTerms(r0 / (r0 + r1), bend)], second: scaleTerms(1 / (r0 + r1), bend) };
}
