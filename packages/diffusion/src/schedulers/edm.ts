import { entry, weightedSum } from "./arithmetic.ts";
import { linspaceFloat32 } from "./betas.ts";
import { readChoice, readNumber, readTrainTimesteps } from "./config.ts";
import { beginWithin } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, karrasSigmas, readFinalSigma } from "./sigmas.ts";
import { readSteps, refuseGiven } from "./spacing.ts";

/** What the two schedulers for networks trained as in Karras et al. 2022 (arXiv 2206.00364, table 1) share. */
export interface EdmRun {
  readonly base: Omit<Scheduler, "order" | "step">;
  readonly sigmas: Float64Array;
  /** The finished sample that the network's answer implies (equation 7). */
  readonly predictOriginal: (output: Float32Array, sample: Float32Array, sigma: number) => Float32Array;
}

/**
 * @param closesAtLast whether `final_sigmas_type: sigma_min` means the last level of the run, in place of the configuration's `sigma_min`
 * @throws KilnError `invalid_request` for values out of range and for given timesteps or sigmas
 */
export function edmRun(config: SchedulerConfig, run: SchedulerRun, closesAtLast: boolean): EdmRun {
  refuseGiven(run, "timesteps", "sigmas");
  const trainTimesteps = readTrainTimesteps(config);
  const max = readNumber(config, "sigma_max", 80, Number.MIN_VALUE);
  const min = readNumber(config, "sigma_min", 0.002, Number.MIN_VALUE, max);
  const data = readNumber(config, "sigma_data", 0.5, Number.MIN_VALUE);
  const sign = readChoice(config, "prediction_type", ["epsilon", "v_prediction"], "epsilon") === "epsilon" ? 1 : -1;
  const steps = readSteps(run, trainTimesteps);
  const levels = edmLevels(config, min, max, steps).map(Math.fround);
  // A run of one step has the largest level alone, and diffusers' two classes differ in which end is its smallest.
  const smallest = closesAtLast ? (levels[levels.length - 1] ?? min) : min;
  const sigmas = closedSigmas(levels, readFinalSigma(config, smallest));
  const timesteps = levels.map((sigma) => Math.fround(0.25 * Math.fround(Math.log(sigma))));
  return {
    sigmas,
    base: {
      timesteps,
      sigmas,
      trainTimesteps,
      initNoiseSigma: Math.sqrt(max * max + 1),
      begin: beginWithin(timesteps),
      addNoise: (clean, noise, index) => weightedSum([1, clean], [entry(sigmas, index), noise]),
      scaleModelInput: (sample, state) => weightedSum([1 / Math.sqrt(entry(sigmas, state.index) ** 2 + data ** 2), sample]),
    },
    predictOriginal: (output, sample, sigma) => {
      const variance = sigma ** 2 + data ** 2;
      return weightedSum([data ** 2 / variance, sample], [(sign * sigma * data) / Math.sqrt(variance), output]);
    },
  };
}

function edmLevels(config: SchedulerConfig, min: number, max: number, steps: number): Float64Array {
  if (readChoice(config, "sigma_schedule", ["karras", "exponential"], "karras") === "karras") {
    return karrasSigmas(min, max, steps, readNumber(config, "rho", 7, Number.MIN_VALUE));
  }
  return linspaceFloat32(Math.log(min), Math.log(max), steps).map(Math.exp).reverse();
}
