import type { Schedule } from "./schedule.ts";

/** Levels picked from the training table at even distances, beginning with the highest. */
export const simple: Schedule = ({ n, denoiser }) => {
  const { sigmas } = denoiser;
  const picked = Array.from({ length: n }, (_, index) => sigmas.at(-(1 + Math.trunc(index * (sigmas.length / n)))) ?? 0);
  return [...picked, 0];
};

/**
 * Levels picked from the training table at a whole distance, beginning with the second lowest, as DDIM spaces its timesteps.
 * Where the distance does not divide the table there is a level more than asked for.
 */
export const ddimGrid: Schedule = ({ n, denoiser }) => {
  const distance = Math.max(Math.floor(denoiser.sigmas.length / n), 1);
  const picked = denoiser.sigmas.filter((_, index) => index % distance === 1 % distance && index >= 1);
  return [...Array.from(picked).reverse(), 0];
};
