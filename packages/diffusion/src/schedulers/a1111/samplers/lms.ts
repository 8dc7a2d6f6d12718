import { type Term, weightedSum } from "../../arithmetic.ts";
import { type SigmaSampler, stepsOver } from "./algorithm.ts";

const MAX_ORDER = 4;

/** The two points of Gauss and Legendre on -1..1, at which a cubic's integral is exact. */
const GAUSS_POINT = 1 / Math.sqrt(3);

/** Linear multistep: the slopes of up to four steps, extrapolated by a polynomial in sigma, as k-diffusion's `sample_lms`. */
export const lms: SigmaSampler = (sigmas) => ({
  evaluations: stepsOver(sigmas).map(({ sigma }, step) => ({
    level: sigma,
    beginsStep: true,
    advance({ sample, prediction, history }) {
      const slopes = [...history, weightedSum([1 / sigma, sample], [-1 / sigma, prediction])].slice(-MAX_ORDER);
      const order = slopes.length;
      const terms = slopes.map((slope, index): Term => [multistepCoefficient(sigmas, step, order, order - 1 - index), slope]);
      return { sample: weightedSum([1, sample], ...terms), history: slopes };
    },
  })),
});

/** The integral over a step of the Lagrange polynomial that is 1 at the sigma `back` steps ago and 0 at the other `order - 1`. */
function multistepCoefficient(sigmas: readonly number[], step: number, order: number, back: number): number {
  const at = (index: number): number => sigmas[index] ?? 0;
  const lagrange = (sigma: number): number => {
    let product = 1;
    for (let other = 0; other < order; other++) {
      if (other !== back) product *= (sigma - at(step - other)) / (at(step - back) - at(step - other));
    }
    return product;
  };
  const half = (at(step + 1) - at(step)) / 2;
  const middle = (at(step + 1) + at(step)) / 2;
  return half * (lagrange(middle - half * GAUSS_POINT) + lagrange(middle + half * GAUSS_POINT));
}
