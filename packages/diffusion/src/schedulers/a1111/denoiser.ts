import { weightedSum } from "../arithmetic.ts";
import type { Prediction } from "../prediction.ts";
import { linspace } from "../spacing.ts";
import { alphaBars } from "./noise-table.ts";

/**
 * A network trained at discrete timesteps, seen as a denoiser at any noise level: k-diffusion's view
 * (`DiscreteSchedule` and `CompVisDenoiser` / `CompVisVDenoiser`, unquantised). Samples have variance `1 + sigma^2`.
 */
export interface Denoiser {
  /** The noise levels of the training timesteps, rising. */
  readonly sigmas: Float64Array;
  /** The timestep, not rounded, that the network is given at this noise level. */
  timestepOf(sigma: number): number;
  /** The noise level of a timestep between two training timesteps. */
  sigmaOf(timestep: number): number;
  /** `n` sigmas whose timesteps are evenly spaced from the last to the first, without the closing 0. */
  uniformSigmas(n: number): number[];
  /** The finished sample that the network's answer to `sample / sqrt(sigma^2 + 1)` stands for. */
  denoised(output: Float32Array, sample: Float32Array, sigma: number): Float32Array;
}

/** Timesteps and sigmas correspond by linear interpolation of log sigma over the training timesteps. */
export function createDenoiser(prediction: Prediction, zeroTerminalSnr: boolean): Denoiser {
  const sigmas = alphaBars(zeroTerminalSnr).map((bar) => Math.fround(Math.sqrt((1 - bar) / bar)));
  const table = logSigmaTable(sigmas);
  return {
    sigmas,
    ...table,
    uniformSigmas: (n) => [...linspace(sigmas.length - 1, 0, n)].map(table.sigmaOf),
    denoised: (output, sample, sigma) => denoise(prediction, output, sample, sigma),
  };
}

/** The two directions between sigma and position in a rising table of sigmas. */
export function logSigmaTable(sigmas: Float64Array): { timestepOf(sigma: number): number; sigmaOf(position: number): number } {
  const logs = sigmas.map((sigma) => Math.fround(Math.log(sigma)));
  const at = (index: number): number => logs[Math.min(Math.max(index, 0), logs.length - 1)] ?? 0;
  return {
    timestepOf(sigma) {
      const log = Math.log(sigma);
      const above = logs.findIndex((other) => other > log);
      const low = Math.min(Math.max((above < 0 ? logs.length : above) - 1, 0), logs.length - 2);
      const weight = (at(low) - log) / (at(low) - at(low + 1));
      return Math.fround(low + Math.min(Math.max(weight, 0), 1));
    },
    sigmaOf(position) {
      const low = Math.floor(position);
      const weight = position - low;
      return Math.fround(Math.exp(Math.fround(Math.fround((1 - weight) * at(low)) + Math.fround(weight * at(low + 1)))));
    },
  };
}

/** arXiv 2206.00364, equation 7, with the scalings of a variance-preserving network (c_skip, c_out of its Table 1). */
function denoise(prediction: Prediction, output: Float32Array, sample: Float32Array, sigma: number): Float32Array {
  switch (prediction) {
    case "epsilon":
      return weightedSum([1, sample], [-sigma, output]);
    case "v_prediction":
      return weightedSum([1 / (sigma * sigma + 1), sample], [-sigma / Math.sqrt(sigma * sigma + 1), output]);
    case "sample":
      return output.slice();
  }
}
