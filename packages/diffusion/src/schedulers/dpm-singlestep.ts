import { entry, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import { readFlag, readInteger } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { solverSigmas } from "./discrete-sigmas.ts";
import { pathPoint } from "./dpm-multistep.ts";
import {
  type DpmSolverType,
  dpmUpdate,
  firstDifference,
  isStochastic,
  readDpmAlgorithm,
  readDpmSolverType,
  scaleTerms,
} from "./dpm-solver.ts";
import { mixtureOfRatio, predictNoise, predictOriginal, readLimiter, readPrediction } from "./prediction.ts";
import { advance, ratioSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, readFinalSigma } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

/** DPM-Solver++ as a singlestep method (Lu et al. 2022, arXiv 2211.01095, algorithm 1), as diffusers' `DPMSolverSinglestepScheduler`. */
export const dpmSinglestep: SchedulerDefinition = {
  className: "DPMSolverSinglestepScheduler",
  names: { "DPM++ 2S": { solver_order: 2, algorithm_type: "dpmsolver++" } },
  spacings: ["Karras", "Exponential", "Beta", "AYS"],
  create: createDpmSinglestep,
};

/** `history`: the sample at the beginning of the group of evaluations, then the outputs before, newest last. */
function createDpmSinglestep(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "sigmas");
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "ignored" });
  const algorithm = readDpmAlgorithm(config, ["dpmsolver++", "sde-dpmsolver++", "dpmsolver"]);
  const solverType = readDpmSolverType(config);
  const order = readInteger(config, "solver_order", 2, 1, 3);
  const prediction = readPrediction(config);
  const limit = readLimiter(config, "absent");
  const thresholded = readFlag(config, "thresholding", false);
  const spaced = solverSigmas(config, run, table, { supported: ["karras", "exponential", "beta"], spaced: false });
  const sigmas = closedSigmas(spaced.sigmas, readFinalSigma(config, table.sigmas[0] ?? 0));
  const orders = singlestepOrders(config, order, spaced.timesteps.length);
  return {
    ...ratioSpace(spaced.timesteps, sigmas, table.length),
    order: 1,
    step(output, sample, state, draw) {
      const mixture = mixtureOfRatio(entry(sigmas, state.index));
      const predictedOriginal = limit(predictOriginal(prediction, output, sample, mixture));
      const asNoise = thresholded
        ? weightedSum([1 / mixture.sigma, sample], [-mixture.alpha / mixture.sigma, predictedOriginal])
        : predictNoise(prediction, output, sample, mixture);
      const outputs = [...state.history.slice(1), algorithm.endsWith("++") ? predictedOriginal : asNoise];
      const noise = isStochastic(algorithm) ? draw() : undefined;
      // A run that begins within a group has too few outputs for its order and begins a group of its own.
      const here = Math.min(orders[state.index] ?? 1, outputs.length);
      const base = here === 1 ? sample : (state.history[0] ?? sample);
      const points = { from: pathPoint(entry(sigmas, state.index + 1 - here)), to: pathPoint(entry(sigmas, state.index + 1)) };
      const update = { algorithm, sample: base, ...points, noise, ...divide(outputs, here, sigmas, state.index, solverType) };
      return {
        sample: dpmUpdate(update),
        state: advance(state, [base, ...(order === 1 ? [] : outputs.slice(1 - order))]),
        predictedOriginal,
      };
    },
  };
}

/** The order of each evaluation: groups count up to the solver's order, and the last group is cut so that the run comes out even. */
function singlestepOrders(config: SchedulerConfig, order: number, steps: number): number[] {
  const endsAtZero = (config.final_sigmas_type ?? "zero") === "zero";
  const lowerFinal = readFlag(config, "lower_order_final", false) || steps % order !== 0 || endsAtZero;
  const orders = Array.from({ length: steps }, (_, i) => (i % order) + 1);
  if (lowerFinal && steps % order === 0) orders[steps - 1] = 1;
  if (lowerFinal && order === 3 && steps % order === 0) orders[steps - 2] = 2;
  if (endsAtZero) orders[steps - 1] = 1;
  return orders;
}

function divide(outputs: readonly Float32Array[], order: number, sigmas: Float64Array, index: number, solverType: DpmSolverType) {
  const [third, second, newest] = [outputs.at(-3), outputs.at(-2), outputs.at(-1) ?? new Float32Array(0)];
  const lambda = (at: number): number => pathPoint(entry(sigmas, at)).lambda;
  if (order === 1 || second === undefined) return { value: newest, solverType };
  const start = index + 1 - order;
  const h = lambda(index + 1) - lambda(start);
  const r0 = (lambda(index) - lambda(start)) / h;
  if (order === 2 || third === undefined) return { value: second, first: firstDifference(r0, newest, second), solverType };
  const r1 = (lambda(index - 1) - lambda(start)) / h;
  const near = firstDifference(r1, second, third);
  const far = firstDifference(r0, newest, third);
  // Of order three, the "midpoint" form uses the far difference alone, with the weight that the other form gives the first.
  if (solverType === "midpoint") return { value: third, first: far, solverType: "heun" as const };
  const first = [...scaleTerms(r0 / (r0 - r1), near), ...scaleTerms(-r1 / (r0 - r1), far)];
  const bend = scaleTerms(2 / (r0 - r1), [...far, ...scaleTerms(-1, near)]);
  return { value: third, first, second: bend, solverType };
}
