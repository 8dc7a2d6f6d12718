import type { Schedule } from "./schedule.ts";

/**
 * Sigmas whose arc tangents are evenly spaced (Align Your Steps, arXiv 2404.14507, the closed form for a Gaussian, section 3.2).
 * It has `n + 1` levels and ends at `sigmaMin`, not at 0. Angles are held in float32 as in the reference, because the tangent of
 * an angle near a right one (zero terminal SNR) carries their rounding into the fourth digit of sigma.
 */
export const klOptimal: Schedule = ({ n, sigmaMin, sigmaMax }) => {
  const low = Math.fround(Math.atan(sigmaMin));
  const high = Math.fround(Math.atan(sigmaMax));
  return Array.from({ length: n + 1 }, (_, index) => {
    const share = Math.fround(index / n);
    return Math.tan(Math.fround(Math.fround(share * low) + Math.fround(Math.fround(1 - share) * high)));
  });
};
