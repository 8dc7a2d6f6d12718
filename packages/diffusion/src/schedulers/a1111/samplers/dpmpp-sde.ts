import { eulerStep, weightedSum } from "../../arithmetic.ts";
import { type Evaluation, remembered, type SigmaSampler, stepsOver } from "./algorithm.ts";
import { ancestralStep } from "./ancestral-step.ts";

/** Single-step DPM-Solver++ for the stochastic equation, r = 1/2, with Brownian noise, as k-diffusion's `sample_dpmpp_sde`. */
export const dpmppSde: SigmaSampler = (sigmas, { eta, sNoise }) => ({
  evaluations: stepsOver(sigmas).flatMap(({ sigma, next }): Evaluation[] => {
    if (next === 0) {
      const advance: Evaluation["advance"] = ({ sample, prediction }) => ({
        sample: eulerStep(sample, prediction, sigma, 0),
        history: [],
      });
      return [{ level: sigma, beginsStep: true, advance }];
    }
    const middle = Math.fround(Math.sqrt(sigma * next));
    const part = ancestralStep(sigma, middle, eta);
    const whole = ancestralStep(sigma, next, eta);
    return [
      {
        level: sigma,
        beginsStep: true,
        advance: ({ sample, prediction, draw }) => ({
          sample: weightedSum([1, eulerStep(sample, prediction, sigma, part.down)], [sNoise * part.up, draw(sigma, middle)]),
          history: [sample],
        }),
      },
      {
        level: middle,
        beginsStep: false,
        // With r = 1/2 the first evaluation's answer has weight 0 in the step's second half.
        advance: ({ prediction, history, draw }) => ({
          sample: weightedSum(
            [1, eulerStep(remembered(history, 1), prediction, sigma, whole.down)],
            [sNoise * whole.up, draw(sigma, next)],
          ),
          history: [],
        }),
      },
    ];
  }),
});
