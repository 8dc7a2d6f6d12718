import type { Schedule } from "./schedule.ts";

/** Timesteps evenly spaced from the last training timestep to the first: k-diffusion's `get_sigmas` of the model itself. */
export const uniform: Schedule = ({ n, denoiser }) => [...denoiser.uniformSigmas(n), 0];
