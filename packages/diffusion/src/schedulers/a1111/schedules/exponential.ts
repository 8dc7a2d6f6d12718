import { linspace } from "../../spacing.ts";
import type { Schedule } from "./schedule.ts";

/** Sigmas whose logarithms are evenly spaced, as k-diffusion's `get_sigmas_exponential`. */
export const exponential: Schedule = ({ n, sigmaMin, sigmaMax }) => [
  ...linspace(Math.log(sigmaMax), Math.log(sigmaMin), n).map(Math.exp),
  0,
];

/** A polynomial of degree rho in log sigma, as k-diffusion's `get_sigmas_polyexponential`; rho 1 is the exponential schedule. */
export const polyexponential: Schedule = ({ n, sigmaMin, sigmaMax, rho = 1 }) => [
  ...linspace(1, 0, n).map((ramp) => Math.exp(ramp ** rho * (Math.log(sigmaMax) - Math.log(sigmaMin)) + Math.log(sigmaMin))),
  0,
];
