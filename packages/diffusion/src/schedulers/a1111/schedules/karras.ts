import { karrasSigmas } from "../../sigmas.ts";
import type { Schedule } from "./schedule.ts";

/** Sigmas whose rho-th roots are evenly spaced (arXiv 2206.00364, equation 5; rho 7 where none is given). */
export const karras: Schedule = ({ n, sigmaMin, sigmaMax, rho }) => [...karrasSigmas(sigmaMin, sigmaMax, n, rho), 0];
