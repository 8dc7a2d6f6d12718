import { roundHalfToEven } from "../round-half-to-even.ts";
import type { NoiseTable } from "./betas.ts";
import type { SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { readSigmaSpacing, type SigmaSpacing, sigmasAt, spaceSigmas, timestepOfSigma } from "./sigmas.ts";
import { readGivenTimesteps, readSpacing, readSteps, spacedTimesteps, spacedTimestepsWithEnd } from "./spacing.ts";

export interface DiscreteSigmas {
  readonly timesteps: Float64Array;
  /** One for each timestep; the closing level is not among them. */
  readonly sigmas: Float64Array;
}

const K_DIFFUSION_SPACINGS: readonly SigmaSpacing[] = ["karras", "exponential", "beta"];

/**
 * Timesteps and noise levels as k-diffusion's algorithms in diffusers space them: a respacing of the levels
 * runs between the first and the last level of the timesteps' own spacing, and its timesteps may lie between two whole ones.
 * @param ignoreEnds where the class does not look at `sigma_min` and `sigma_max`
 */
export function discreteSigmas(
  config: SchedulerConfig,
  run: SchedulerRun,
  table: NoiseTable,
  ignoreEnds: readonly SigmaSpacing[] = [],
): DiscreteSigmas {
  const given = readGivenTimesteps(run, table.length);
  const spacing = readSigmaSpacing(config, K_DIFFUSION_SPACINGS, given !== undefined);
  const timesteps =
    given === undefined
      ? spacedTimesteps(config, "linspace", readSteps(run, table.length), table.length).map(Math.fround)
      : Float64Array.from(given, Math.fround);
  const sigmas = sigmasAt(timesteps, table);
  if (spacing === undefined) return { timesteps, sigmas };
  const ends = ignoreEnds.includes(spacing) ? {} : config;
  const spaced = spaceSigmas(spacing, ends, sigmas[sigmas.length - 1] ?? 0, sigmas[0] ?? 0, sigmas.length);
  return { timesteps: spaced.map((sigma) => timestepOfSigma(sigma, table)), sigmas: spaced };
}

export interface SolverSigmasOptions {
  readonly supported: readonly SigmaSpacing[];
  /** True where the class spaces by `timestep_spacing`; else it is always `linspace`. */
  readonly spaced: boolean;
  /** True where timesteps of Karras' and Lu's levels stay fractions before they are cut, for the cosine schedule. */
  readonly cosineKeepsFractions?: boolean;
}

/**
 * Timesteps (whole) and noise levels as the multistep solvers in diffusers space them: a respacing of the levels runs
 * over the whole table. Its timesteps are rounded for Karras and Lu, and cut to whole numbers for the others.
 */
export function solverSigmas(
  config: SchedulerConfig,
  run: SchedulerRun,
  table: NoiseTable,
  options: SolverSigmasOptions,
): DiscreteSigmas {
  const given = readGivenTimesteps(run, table.length);
  const spacing = readSigmaSpacing(config, options.supported, given !== undefined);
  const kind = readSpacing(config, "linspace");
  if (spacing === undefined) {
    const timesteps =
      given === undefined ? spaced(config, run, table, options.spaced ? kind : "linspace") : Float64Array.from(given, Math.trunc);
    return { timesteps, sigmas: sigmasAt(timesteps, table) };
  }
  const ends = [table.sigmas[0] ?? 0, table.sigmas[table.length - 1] ?? 0] as const;
  const sigmas = spaceSigmas(spacing, config, ...ends, readSteps(run, table.length));
  const fractions = config.beta_schedule === "squaredcos_cap_v2" && options.cosineKeepsFractions === true;
  const whole = (spacing === "karras" || spacing === "lu") && !fractions ? roundHalfToEven : Math.trunc;
  return { timesteps: sigmas.map((sigma) => whole(timestepOfSigma(sigma, table))), sigmas };
}

function spaced(
  config: SchedulerConfig,
  run: SchedulerRun,
  table: NoiseTable,
  kind: "linspace" | "leading" | "trailing",
): Float64Array {
  const steps = readSteps(run, table.length);
  return spacedTimestepsWithEnd(kind, config, steps, table.length, table.length - clippedTimesteps(config, table));
}

/** Timesteps at the noisy end whose log signal-to-noise ratio lies below `lambda_min_clipped`. */
function clippedTimesteps(config: SchedulerConfig, table: NoiseTable): number {
  const least = config.lambda_min_clipped;
  if (typeof least !== "number") return 0;
  return table.logSigmas.filter((logSigma) => -logSigma < least).length;
}
