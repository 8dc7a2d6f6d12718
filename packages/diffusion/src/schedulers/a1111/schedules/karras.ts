import { linspace } from "../../spacing.ts";
import type { Schedule } from "./schedule.ts";

const DEFAULT_RHO = 7;

/** Sigmas whose rho-th roots are evenly spaced (arXiv:2206.00364, equation 5; rho 7). */
export const karras: Schedule = ({ n, sigmaMin, sigmaMax, rho = DEFAULT_RHO }) => [
  ...karrasSigmas(n, sigmaMin, sigmaMax, rho),
  0,
];

/** `n` sigmas from `sigmaMax` to `sigmaMin`, without the closing 0. */
export function karrasSigmas(n: number, sigmaMin: number, sigmaMax: number, rho = DEFAULT_RHO): number[] {
  const from = sigmaMax ** (1 / rho);
  const to = sigmaMin ** (1 / rho);
  return [...linspace(0, 1, n)].map((ramp) => (from + ramp * (to - from)) ** rho);
}
