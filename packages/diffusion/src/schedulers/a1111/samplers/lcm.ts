import { weightedSum } from "../../arithmetic.ts";
import { type SigmaSampler, stepsOver } from "./algorithm.ts";

/** Multistep consistency sampling: the denoised sample, noised afresh to the next level (arXiv 2310.04378, Algorithm 3). */
export const lcm: SigmaSampler = (sigmas) => ({
  evaluations: stepsOver(sigmas).map(({ sigma, next }) => ({
    level: sigma,
    beginsStep: true,
    advance: ({ prediction, draw }) => ({
      sample: next > 0 ? weightedSum([1, prediction], [next, draw()]) : prediction,
      history: [],
    }),
  })),
});
