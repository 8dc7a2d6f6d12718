import { eulerStep, weightedSum } from "../../arithmetic.ts";
import { type SigmaSampler, stepsOver } from "./algorithm.ts";

/** DPM-Solver++(2M) (arXiv 2211.01095, Algorithm 2); the first step and one that ends at 0 are of first order, as in k-diffusion. */
export const dpmpp2m: SigmaSampler = (sigmas) => ({
  evaluations: stepsOver(sigmas).map(({ sigma, next }, step) => ({
    level: sigma,
    beginsStep: true,
    advance({ sample, prediction, history }) {
      const earlier = history.at(-1);
      const before = sigmas[step - 1];
      if (earlier === undefined || before === undefined || next === 0) {
        return { sample: eulerStep(sample, prediction, sigma, next), history: [prediction] };
      }
      // r is the last step's length over this one's, in lambda = -log sigma.
      const r = Math.log(before / sigma) / Math.log(sigma / next);
      const extrapolated = weightedSum([1 + 1 / (2 * r), prediction], [-1 / (2 * r), earlier]);
      return { sample: eulerStep(sample, extrapolated, sigma, next), history: [prediction] };
    },
  })),
});
