import { betaQuantile } from "../../beta-distribution.ts";
import { linspace } from "../../spacing.ts";
import type { Schedule } from "./schedule.ts";

/**
 * Levels at the quantiles of a beta distribution (arXiv 2407.12173; alpha and beta 0.6), as AUTOMATIC1111 reads it:
 * the quantile places sigma itself, not the timestep, between its two ends.
 */
export const beta: Schedule = ({ n, sigmaMin, sigmaMax, betaAlpha, betaBeta }) => [
  ...linspace(0, 1, n).map((ramp) => sigmaMin + betaQuantile(1 - ramp, betaAlpha, betaBeta) * (sigmaMax - sigmaMin)),
  0,
];
