import { weightedSum } from "../../arithmetic.ts";
import type { SigmaSampler } from "./algorithm.ts";
import { churned } from "./churn.ts";

/** Euler steps along the probability flow (arXiv:2206.00364, Algorithm 2 without its second half). */
export const euler: SigmaSampler = (sigmas, options) => {
  const { steps, prepare } = churned(sigmas, options);
  const evaluations = steps.map(({ sigmaHat, next, arrive }) => ({
    level: sigmaHat,
    beginsStep: true,
    advance: ({ sample, prediction, draw }) => ({
      sample: arrive(towards(sample, prediction, sigmaHat, next), draw),
      history: [],
    }),
  })) satisfies ReturnType<SigmaSampler>["evaluations"];
  return { evaluations, prepare };
};

/** A straight line from the sample at level `from` towards the denoised picture, as far as level `to`. */
export function towards(sample: Float32Array, denoised: Float32Array, from: number, to: number): Float32Array {
  return weightedSum([to / from, sample], [1 - to / from, denoised]);
}
