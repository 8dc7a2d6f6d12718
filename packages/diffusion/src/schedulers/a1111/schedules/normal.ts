import { linspace } from "../../spacing.ts";
import type { Schedule } from "./schedule.ts";

/** Timesteps evenly spaced between those of the two end sigmas; differs from Uniform where the end sigmas are set by hand. */
export const normal: Schedule = ({ n, sigmaMin, sigmaMax, denoiser }) => [
  ...linspace(denoiser.timestepOf(sigmaMax), denoiser.timestepOf(sigmaMin), n).map(denoiser.sigmaOf),
  0,
];

/** As Normal with one level more, of which the last is left out: the spacing of Stability AI's `generative-models`. */
export const sgmUniform: Schedule = ({ n, sigmaMin, sigmaMax, denoiser }) => [
  ...linspace(denoiser.timestepOf(sigmaMax), denoiser.timestepOf(sigmaMin), n + 1)
    .slice(0, n)
    .map(denoiser.sigmaOf),
  0,
];
