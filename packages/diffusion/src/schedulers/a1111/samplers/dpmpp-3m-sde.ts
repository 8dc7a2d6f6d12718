import { type Term, weightedSum } from "../../arithmetic.ts";
import { type SigmaSampler, stepsOver } from "./algorithm.ts";

/** Third-order multistep DPM-Solver++ for the stochastic equation, with Brownian noise, as k-diffusion's `sample_dpmpp_3m_sde`. */
export const dpmpp3mSde: SigmaSampler = (sigmas, { eta, sNoise }) => ({
  evaluations: stepsOver(sigmas).map(({ sigma, next }, step) => ({
    level: sigma,
    beginsStep: true,
    advance({ sample, prediction, history, draw }) {
      const remember = [...history, prediction].slice(-2);
      if (next === 0) return { sample: prediction, history: remember };
      const h = Math.log(sigma / next);
      const hEta = h * (eta + 1);
      const terms: Term[] = [
        [Math.exp(-hEta), sample],
        [-Math.expm1(-hEta), prediction],
        ...corrections(sigmas, step, h, hEta, prediction, history),
      ];
      if (eta > 0) terms.push([next * Math.sqrt(-Math.expm1(-2 * h * eta)) * sNoise, draw(sigma, next)]);
      return { sample: weightedSum(...terms), history: remember };
    },
  })),
});

/** The terms of second and third order, as far as there are earlier predictions. */
function corrections(
  sigmas: readonly number[],
  step: number,
  h: number,
  hEta: number,
  prediction: Float32Array,
  history: readonly Float32Array[],
): Term[] {
  const length = (back: number): number => Math.log((sigmas[step - back] ?? 1) / (sigmas[step - back + 1] ?? 1));
  const one = history.at(-1);
  const two = history.at(-2);
  if (one === undefined) return [];
  const phi2 = Math.expm1(-hEta) / hEta + 1;
  const r0 = length(1) / h;
  if (two === undefined) {
    return [
      [phi2 / r0, prediction],
      [-phi2 / r0, one],
    ];
  }
  const r1 = length(2) / h;
  const phi3 = phi2 / hEta - 0.5;
  // First and second divided differences of the last three predictions, d1_0 + (d1_0 - d1_1) r0 / (r0 + r1) and their difference.
  const near = phi2 + (phi2 * r0 - phi3) / (r0 + r1);
  const far = -(phi2 * r0 - phi3) / (r0 + r1);
  return [
    [near / r0, prediction],
    [far / r1 - near / r0, one],
    [-far / r1, two],
  ];
}
