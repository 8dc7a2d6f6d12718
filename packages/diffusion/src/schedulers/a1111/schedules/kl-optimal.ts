import type { Schedule } from "./schedule.ts";

/**
 * Sigmas whose arc tangents are evenly spaced (Align Your Steps, arXiv:2404.14507, the closed form for a Gaussian, section 3.2).
 * It has `n + 1` levels and ends at `sigmaMin`, not at 0.
 */
export const klOptimal: Schedule = ({ n, sigmaMin, sigmaMax }) =>
  Array.from({ length: n + 1 }, (_, index) =>
    Math.tan((index / n) * Math.atan(sigmaMin) + (1 - index / n) * Math.atan(sigmaMax)),
  );
