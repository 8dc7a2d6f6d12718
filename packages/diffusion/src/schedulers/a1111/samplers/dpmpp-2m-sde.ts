import { type Term, weightedSum } from "../../arithmetic.ts";
import { type SigmaSampler, stepsOver } from "./algorithm.ts";

/** Multistep DPM-Solver++ for the stochastic equation (2M SDE), with Brownian noise, as k-diffusion's `sample_dpmpp_2m_sde`. */
export const dpmpp2mSde: SigmaSampler = (sigmas, options) => plan(sigmas, options, "midpoint");

/** The same with the correction of Heun's type. */
export const dpmpp2mSdeHeun: SigmaSampler = (sigmas, options) => plan(sigmas, options, "heun");

function plan(
  sigmas: readonly number[],
  { eta, sNoise }: Parameters<SigmaSampler>[1],
  solver: "midpoint" | "heun",
): ReturnType<SigmaSampler> {
  const evaluations = stepsOver(sigmas).map(({ sigma, next }, step) => ({
    level: sigma,
    beginsStep: true,
    advance({ sample, prediction, history, draw }) {
      if (next === 0) return { sample: prediction, history: [prediction] };
      const h = Math.log(sigma / next);
      const decay = -Math.expm1(-h - eta * h);
      const terms: Term[] = [
        [(next / sigma) * Math.exp(-eta * h), sample],
        [decay, prediction],
      ];
      const earlier = history.at(-1);
      const before = sigmas[step - 1];
      if (earlier !== undefined && before !== undefined) {
        const r = Math.log(before / sigma) / h;
        const weight = (solver === "heun" ? decay / (-h - eta * h) + 1 : 0.5 * decay) / r;
        terms.push([weight, prediction], [-weight, earlier]);
      }
      if (eta > 0) terms.push([next * Math.sqrt(-Math.expm1(-2 * eta * h)) * sNoise, draw(sigma, next)]);
      return { sample: weightedSum(...terms), history: [prediction] };
    },
  })) satisfies ReturnType<SigmaSampler>["evaluations"];
  return { evaluations };
}
