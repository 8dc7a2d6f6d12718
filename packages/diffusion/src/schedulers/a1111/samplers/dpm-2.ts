import { eulerStep, weightedSum } from "../../arithmetic.ts";
import { type Evaluation, remembered, type SigmaSampler, stepsOver } from "./algorithm.ts";
import { ancestralStep } from "./ancestral-step.ts";
import { churned } from "./churn.ts";

/** DPM-Solver-2 in sigma: the slope of a step is taken at its geometric middle, as k-diffusion's `sample_dpm_2`. */
export const dpm2: SigmaSampler = (sigmas, options) => {
  const { steps, prepare } = churned(sigmas, options);
  const evaluations = steps.flatMap(({ sigmaHat, next, arrive }) =>
    midpointStep(sigmaHat, next).map((evaluation, index, all): Evaluation => {
      if (index < all.length - 1) return evaluation;
      return {
        ...evaluation,
        advance(point) {
          const moved = evaluation.advance(point);
          return { ...moved, sample: arrive(moved.sample, point.draw) };
        },
      };
    }),
  );
  return { evaluations, prepare };
};

/** DPM2 to below the next level, and fresh noise up to it, as k-diffusion's `sample_dpm_2_ancestral`. */
export const dpm2Ancestral: SigmaSampler = (sigmas, { eta, sNoise }) => ({
  evaluations: stepsOver(sigmas).flatMap(({ sigma, next }) => {
    const { down, up } = ancestralStep(sigma, next, eta);
    const [first, second] = midpointStep(sigma, down);
    if (first === undefined) return [];
    if (second === undefined) return [first];
    const noised: Evaluation = {
      ...second,
      advance(point) {
        const moved = second.advance(point);
        return up > 0 ? { ...moved, sample: weightedSum([1, moved.sample], [sNoise * up, point.draw()]) } : moved;
      },
    };
    return [first, noised];
  }),
});

/** The evaluations of one deterministic step: at its beginning and its geometric middle; a step to 0 is an Euler step. */
function midpointStep(sigma: number, next: number): Evaluation[] {
  if (next === 0) {
    const advance: Evaluation["advance"] = ({ sample, prediction }) => ({
      sample: eulerStep(sample, prediction, sigma, 0),
      history: [],
    });
    return [{ level: sigma, beginsStep: true, advance }];
  }
  const middle = Math.sqrt(sigma * next);
  return [
    {
      level: sigma,
      beginsStep: true,
      advance: ({ sample, prediction }) => ({ sample: eulerStep(sample, prediction, sigma, middle), history: [sample] }),
    },
    {
      level: middle,
      beginsStep: false,
      advance({ sample, prediction, history }) {
        const slope = (next - sigma) / middle;
        return { sample: weightedSum([1, remembered(history, 1)], [slope, sample], [-slope, prediction]), history: [] };
      },
    },
  ];
}
