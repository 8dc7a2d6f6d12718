import { entry, weightedSum } from "./arithmetic.ts";
import type { NoiseTable } from "./betas.ts";
import { mixtureOfAlpha, mixtureOfRatio } from "./prediction.ts";
import type { Scheduler, SchedulerConfig, SchedulerState } from "./scheduler.ts";
import { readSpacing, type Spacing } from "./spacing.ts";

type Common = Pick<
  Scheduler,
  "timesteps" | "sigmas" | "initNoiseSigma" | "trainTimesteps" | "begin" | "addNoise" | "scaleModelInput"
>;

/** What the algorithms share that work on `clean + sigma * noise` and shrink it to unit variance for the network. */
export function sigmaSpace(timesteps: Float64Array, sigmas: Float64Array, spacing: Spacing, trainTimesteps: number): Common {
  const most = sigmas.reduce((a, b) => Math.max(a, b), 0);
  return {
    timesteps,
    sigmas,
    trainTimesteps,
    // A run that begins at the very end of training begins with noise alone; any other with a little of the mean.
    initNoiseSigma: spacing === "leading" ? Math.sqrt(most * most + 1) : most,
    begin: beginWithin(timesteps),
    addNoise: (clean, noise, index) => weightedSum([1, clean], [entry(sigmas, index), noise]),
    scaleModelInput: (sample, state) => scaleToUnit(sample, entry(sigmas, state.index)),
  };
}

/** What the algorithms share that work on samples of unit variance and count noise in sigmas. */
export function ratioSpace(timesteps: Float64Array, sigmas: Float64Array, trainTimesteps: number): Common {
  return {
    timesteps,
    sigmas,
    trainTimesteps,
    initNoiseSigma: 1,
    begin: beginWithin(timesteps),
    addNoise: (clean, noise, index) => {
      const { alpha, sigma } = mixtureOfRatio(entry(sigmas, index));
      return weightedSum([alpha, clean], [sigma, noise]);
    },
    scaleModelInput: (sample) => sample,
  };
}

/** What the algorithms share that work on samples of unit variance and look the noise up by training timestep. */
export function timestepSpace(timesteps: Float64Array, table: NoiseTable): Common {
  return {
    timesteps,
    sigmas: new Float64Array(0),
    trainTimesteps: table.length,
    initNoiseSigma: 1,
    begin: beginWithin(timesteps),
    addNoise: (clean, noise, index) => {
      const { alpha, sigma } = mixtureOfAlpha(alphaAt(table, entry(timesteps, index)));
      return weightedSum([alpha, clean], [sigma, noise]);
    },
    scaleModelInput: (sample) => sample,
  };
}

/** The signal's share of the variance at a training timestep; beyond the table's end, at its end. */
export function alphaAt(table: NoiseTable, timestep: number): number {
  return entry(table.alphasCumprod, Math.min(timestep, table.length - 1));
}

/** A sample of `clean + sigma * noise` shrunk to unit variance. */
export function scaleToUnit(sample: Float32Array, sigma: number): Float32Array {
  return weightedSum([1 / Math.sqrt(sigma * sigma + 1), sample]);
}

/** The states that a run of these timesteps can begin with: before any evaluation, or at its end. */
export function beginWithin(timesteps: Float64Array): (begin?: number) => SchedulerState {
  return (begin = 0) => {
    if (!Number.isInteger(begin) || begin < 0 || begin > timesteps.length) {
      throw new RangeError(`a run of ${timesteps.length} evaluations cannot begin at ${begin}`);
    }
    return { index: begin, history: [], numbers: {} };
  };
}

/** The state after one more evaluation. */
export function advance(
  state: SchedulerState,
  history: readonly Float32Array[] = [],
  numbers: Readonly<Record<string, number>> = {},
): SchedulerState {
  return { index: state.index + 1, history, numbers };
}

/** The spacing that decides on the first sample's deviation. */
export function sigmaSpaceSpacing(config: SchedulerConfig): Spacing {
  return readSpacing(config, "linspace");
}
