import { eulerStep, weightedSum } from "../../arithmetic.ts";
import { type Evaluation, remembered, type SigmaSampler, stepsOver } from "./algorithm.ts";
import { ancestralStep } from "./ancestral-step.ts";

/** DPM-Solver++(2S) (arXiv 2211.01095, Algorithm 1, r = 1/2) with ancestral noise, as k-diffusion's `sample_dpmpp_2s_ancestral`. */
export const dpmpp2sAncestral: SigmaSampler = (sigmas, { eta, sNoise }) => ({
  evaluations: stepsOver(sigmas).flatMap(({ sigma, next }): Evaluation[] => {
    const { down, up } = ancestralStep(sigma, next, eta);
    const arrive = (sample: Float32Array, draw: () => Float32Array): Float32Array =>
      next > 0 && eta > 0 ? weightedSum([1, sample], [sNoise * up, draw()]) : sample;
    if (down === 0) {
      const advance: Evaluation["advance"] = ({ sample, prediction, draw }) => ({
        sample: arrive(eulerStep(sample, prediction, sigma, 0), draw),
        history: [],
      });
      return [{ level: sigma, beginsStep: true, advance }];
    }
    const middle = Math.sqrt(sigma * down);
    return [
      {
        level: sigma,
        beginsStep: true,
        advance: ({ sample, prediction }) => ({ sample: eulerStep(sample, prediction, sigma, middle), history: [sample] }),
      },
      {
        level: middle,
        beginsStep: false,
        advance: ({ prediction, history, draw }) => ({
          sample: arrive(eulerStep(remembered(history, 1), prediction, sigma, down), draw),
          history: [],
        }),
      },
    ];
  }),
});
