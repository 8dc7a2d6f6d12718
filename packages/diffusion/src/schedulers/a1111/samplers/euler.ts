import { eulerStep } from "../../arithmetic.ts";
import type { SigmaSampler } from "./algorithm.ts";
import { churned } from "./churn.ts";

/** Euler steps along the probability flow (arXiv 2206.00364, Algorithm 2 without its second half). */
export const euler: SigmaSampler = (sigmas, options) => {
  const { steps, prepare } = churned(sigmas, options);
  const evaluations = steps.map(({ sigmaHat, next, arrive }) => ({
    level: sigmaHat,
    beginsStep: true,
    advance: ({ sample, prediction, draw }) => ({
      sample: arrive(eulerStep(sample, prediction, sigmaHat, next), draw),
      history: [],
    }),
  })) satisfies ReturnType<SigmaSampler>["evaluations"];
  return { evaluations, prepare };
};
