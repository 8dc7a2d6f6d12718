import { type Term, weightedSum } from "./arithmetic.ts";
import { badValue, readChoice } from "./config.ts";
import type { SchedulerConfig } from "./scheduler.ts";

const ALGORITHMS = ["dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"] as const;
/** Whether the solver works on predicted samples (++) or on predicted noise, and whether it adds noise (sde). */
export type DpmAlgorithm = (typeof ALGORITHMS)[number];
export type DpmSolverType = "midpoint" | "heun";

/** Words of sibling algorithms that diffusers takes for one of these when a configuration moves from class to class. */
const RENAMED_SOLVERS = { logrho: "midpoint", bh1: "midpoint", bh2: "midpoint" } as const;

/** @throws KilnError `invalid_request` for an algorithm that the class lacks, and for noise prediction that is asked to end at zero */
export function readDpmAlgorithm(config: SchedulerConfig, supported: readonly DpmAlgorithm[] = ALGORITHMS): DpmAlgorithm {
  const algorithm = readChoice(config, "algorithm_type", supported, "dpmsolver++", { deis: "dpmsolver++" });
  const endsAtZero = (config.final_sigmas_type ?? "zero") === "zero";
  if (!algorithm.endsWith("++") && endsAtZero)
    throw badValue("final_sigmas_type", "zero", `"sigma_min" where algorithm_type is ${algorithm}`);
  return algorithm;
}

export function readDpmSolverType(config: SchedulerConfig): DpmSolverType {
  return readChoice(config, "solver_type", ["midpoint", "heun"], "midpoint", RENAMED_SOLVERS);
}

export function isStochastic(algorithm: DpmAlgorithm): boolean {
  return algorithm.startsWith("sde");
}

/** A place on the path: how much signal and noise the sample has there, and half its log signal-to-noise ratio. */
export interface PathPoint {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

/** One update of the solver, from `from` to `to`. */
export interface DpmUpdate {
  readonly algorithm: DpmAlgorithm;
  readonly sample: Float32Array;
  readonly from: PathPoint;
  readonly to: PathPoint;
  /** Divided differences: the value, its first and its second difference, as far as the order goes; each a sum of outputs. */
  readonly value: Float32Array;
  readonly first?: readonly Term[];
  readonly second?: readonly Term[];
  /** How the first difference is weighted where there is no second; third order always weights as `heun` does. */
  readonly solverType: DpmSolverType;
  readonly noise: Float32Array | undefined;
}

/**
 * The exponential integrator of Lu et al. 2022 (arXiv 2211.01095, equations 3.7 and 4.1 to 4.3, and appendix B for orders
 * two and three; arXiv 2206.00927 for noise prediction), with the factors that diffusers uses.
 */
export function dpmUpdate(update: DpmUpdate): Float32Array {
  const { algorithm, sample, from, to, value, first = [], second = [], noise } = update;
  const h = to.lambda - from.lambda;
  const factors = FACTORS[algorithm](from, to, h);
  const slope = update.solverType === "midpoint" ? factors.midpoint : factors.heun;
  const terms: Term[] = [
    [factors.sample, sample],
    [factors.value, value],
    ...first.map(([weight, output]): Term => [slope * weight, output]),
    ...second.map(([weight, output]): Term => [factors.second * weight, output]),
  ];
  if (noise !== undefined) terms.push([factors.noise, noise]);
  return weightedSum(...terms);
}

interface Factors {
  readonly sample: number;
  readonly value: number;
  readonly midpoint: number;
  readonly heun: number;
  readonly second: number;
  readonly noise: number;
}

const FACTORS: Readonly<Record<DpmAlgorithm, (from: PathPoint, to: PathPoint, h: number) => Factors>> = {
  "dpmsolver++": (from, to, h) => {
    const gain = Math.expm1(-h);
    return {
      sample: to.sigma / from.sigma,
      value: -to.alpha * gain,
      midpoint: -0.5 * to.alpha * gain,
      heun: to.alpha * (gain / h + 1),
      second: -to.alpha * ((gain + h) / h ** 2 - 0.5),
      noise: 0,
    };
  },
  "sde-dpmsolver++": (from, to, h) => {
    const gain = -Math.expm1(-2 * h);
    return {
      sample: (to.sigma / from.sigma) * Math.exp(-h),
      value: to.alpha * gain,
      midpoint: 0.5 * to.alpha * gain,
      heun: to.alpha * (gain / (-2 * h) + 1),
      second: to.alpha * ((gain - 2 * h) / (2 * h) ** 2 - 0.5),
      noise: to.sigma * Math.sqrt(gain),
    };
  },
  dpmsolver: (from, to, h) => {
    const gain = Math.expm1(h);
    return {
      sample: to.alpha / from.alpha,
      value: -to.sigma * gain,
      midpoint: -0.5 * to.sigma * gain,
      heun: -to.sigma * (gain / h - 1),
      second: -to.sigma * ((gain - h) / h ** 2 - 0.5),
      noise: 0,
    };
  },
  "sde-dpmsolver": (from, to, h) => {
    const gain = Math.expm1(h);
    return {
      sample: to.alpha / from.alpha,
      value: -2 * to.sigma * gain,
      midpoint: -to.sigma * gain,
      heun: -2 * to.sigma * (gain / h - 1),
      // Nobody has published a third-order form; the readers of configurations refuse the order.
      second: Number.NaN,
      noise: to.sigma * Math.sqrt(Math.expm1(2 * h)),
    };
  },
};

/** The newest output minus the one before over the ratio of their distance to the step's: the first difference of order two. */
export function firstDifference(ratio: number, newer: Float32Array, older: Float32Array): Term[] {
  return [
    [1 / ratio, newer],
    [-1 / ratio, older],
  ];
}

export function scaleTerms(factor: number, terms: readonly Term[]): Term[] {
  return terms.map(([weight, output]) => [factor * weight, output]);
}
