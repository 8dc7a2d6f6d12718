import { eulerStep, weightedSum } from "../../arithmetic.ts";
import { type Evaluation, remembered, type SigmaSampler } from "./algorithm.ts";
import { type ChurnedStep, churned } from "./churn.ts";

/** Heun's method: the slope is the mean of those at both ends of a step (arXiv 2206.00364, Algorithm 2). */
export const heun: SigmaSampler = (sigmas, options) => {
  const { steps, prepare } = churned(sigmas, options);
  return { evaluations: steps.flatMap(heunStep), prepare };
};

/** One step as one or two evaluations: the step that ends at 0 is an Euler step. */
export function heunStep({ sigmaHat, next, arrive }: ChurnedStep): Evaluation[] {
  const first = (ends: boolean): Evaluation => ({
    level: sigmaHat,
    beginsStep: true,
    advance({ sample, prediction, draw }) {
      const moved = eulerStep(sample, prediction, sigmaHat, next);
      return ends ? { sample: arrive(moved, draw), history: [] } : { sample: moved, history: [sample, prediction] };
    },
  });
  if (next === 0) return [first(true)];
  const second: Evaluation = {
    level: next,
    beginsStep: false,
    advance({ sample, prediction, history, draw }) {
      const start = remembered(history, 2);
      const half = (next - sigmaHat) / 2;
      const moved = weightedSum(
        [1 + half / sigmaHat, start],
        [-half / sigmaHat, remembered(history, 1)],
        [half / next, sample],
        [-half / next, prediction],
      );
      return { sample: arrive(moved, draw), history: [] };
    },
  };
  return [first(false), second];
}
