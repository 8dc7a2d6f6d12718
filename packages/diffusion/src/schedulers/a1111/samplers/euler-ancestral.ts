import { eulerStep, weightedSum } from "../../arithmetic.ts";
import { type SigmaSampler, stepsOver } from "./algorithm.ts";
import { ancestralStep } from "./ancestral-step.ts";

/** Euler steps to below the next level, and fresh noise up to it, as k-diffusion's `sample_euler_ancestral`. */
export const eulerAncestral: SigmaSampler = (sigmas, { eta, sNoise }) => ({
  evaluations: stepsOver(sigmas).map(({ sigma, next }) => ({
    level: sigma,
    beginsStep: true,
    advance({ sample, prediction, draw }) {
      const { down, up } = ancestralStep(sigma, next, eta);
      const moved = eulerStep(sample, prediction, sigma, down);
      return { sample: next > 0 && eta > 0 ? weightedSum([1, moved], [sNoise * up, draw()]) : moved, history: [] };
    },
  })),
});
