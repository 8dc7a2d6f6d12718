import { entry, eulerStep } from "./arithmetic.ts";
import { DDPM_BETAS, type NoiseTable, noiseTable } from "./betas.ts";
import { badValue, readChoice } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { type DiscreteSigmas, discreteSigmas } from "./discrete-sigmas.ts";
import { type Prediction, predictOriginalAtSigma, readPrediction } from "./prediction.ts";
import { advance, sigmaSpace, sigmaSpaceSpacing } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, readFinalSigma, readSigmaSpacing, timestepOfSigma } from "./sigmas.ts";
import { linspace, readGivenSigmas } from "./spacing.ts";

/** Euler's method on the probability flow (Karras et al. 2022, arXiv 2206.00364, algorithm 2 without churn), as diffusers' `EulerDiscreteScheduler`. */
export const euler: SchedulerDefinition = {
  className: "EulerDiscreteScheduler",
  names: { Euler: {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform", "AYS"],
  create: createEuler,
};

function createEuler(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "clamped" });
  const prediction = readPrediction(config);
  const { timesteps, sigmas } = eulerTables(config, run, table, prediction);
  return {
    ...sigmaSpace(timesteps, sigmas, sigmaSpaceSpacing(config), table.length),
    order: 1,
    step(output, sample, state) {
      const sigma = entry(sigmas, state.index);
      const predictedOriginal = predictOriginalAtSigma(prediction, output, sample, sigma);
      return {
        sample: eulerStep(sample, predictedOriginal, sigma, entry(sigmas, state.index + 1)),
        state: advance(state),
        predictedOriginal,
      };
    },
  };
}

function eulerTables(config: SchedulerConfig, run: SchedulerRun, table: NoiseTable, prediction: Prediction): DiscreteSigmas {
  const continuous =
    readChoice(config, "timestep_type", ["discrete", "continuous"], "discrete") === "continuous" && prediction === "v_prediction";
  const given = readGivenSigmas(run);
  if (run.timesteps !== undefined && (given !== undefined || continuous)) {
    throw badValue("timesteps", run.timesteps, "left out where sigmas are given or timestep_type is continuous");
  }
  const { timesteps, sigmas } = given === undefined ? spacedTables(config, run, table) : givenTables(config, given, table);
  if (!continuous) return { timesteps: timesteps.map(Math.fround), sigmas };
  return { timesteps: sigmas.subarray(0, -1).map((sigma) => Math.fround(0.25 * Math.fround(Math.log(sigma)))), sigmas };
}

function givenTables(config: SchedulerConfig, given: readonly number[], table: NoiseTable): DiscreteSigmas {
  readSigmaSpacing(config, [], true);
  const sigmas = Float64Array.from(given, Math.fround);
  return { timesteps: sigmas.subarray(0, -1).map((sigma) => timestepOfSigma(sigma, table)), sigmas };
}

function spacedTables(config: SchedulerConfig, run: SchedulerRun, table: NoiseTable): DiscreteSigmas {
  const { timesteps, sigmas } = discreteSigmas(config, run, table);
  const last = readFinalSigma(config, table.sigmas[0] ?? 0);
  const logLinear = readChoice(config, "interpolation_type", ["linear", "log_linear"], "linear") === "log_linear";
  const spaced = readSigmaSpacing(config, ["karras", "exponential", "beta"], false) !== undefined;
  if (!logLinear || spaced) return { timesteps, sigmas: closedSigmas(sigmas, last) };
  const ends = [table.logSigmas[table.length - 1] ?? 0, table.logSigmas[0] ?? 0] as const;
  return { timesteps, sigmas: closedSigmas(linspace(...ends, timesteps.length + 1).map(Math.exp), last) };
}
