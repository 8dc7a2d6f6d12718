import { KilnError } from "../errors.ts";
import { betaQuantile } from "./beta-distribution.ts";
import type { NoiseTable } from "./betas.ts";
import { readChoice, readFlag, readOptionalNumber } from "./config.ts";
import type { SchedulerConfig } from "./scheduler.ts";
import { linspace } from "./spacing.ts";

/** The exponent of Karras et al. 2022 (arXiv 2206.00364, equation 5). */
const KARRAS_RHO = 7;
/** Both parameters of the beta spacing (Lee et al. 2024, arXiv 2407.12173). */
const BETA_SHAPE = 0.6;

/** A spacing of the noise levels themselves, in place of one of the timesteps. */
export type SigmaSpacing = "karras" | "exponential" | "beta" | "lu";

const FLAGS: Readonly<Record<SigmaSpacing, string>> = {
  karras: "use_karras_sigmas",
  exponential: "use_exponential_sigmas",
  beta: "use_beta_sigmas",
  lu: "use_lu_lambdas",
};

/**
 * The spacing of noise levels that the configuration's flags name, if any.
 * @throws KilnError `invalid_request` where two are set, or one beside given timesteps
 */
export function readSigmaSpacing(
  config: SchedulerConfig,
  supported: readonly SigmaSpacing[],
  given: boolean,
): SigmaSpacing | undefined {
  const [first, second] = supported.filter((spacing) => readFlag(config, FLAGS[spacing], false));
  if (first === undefined) return undefined;
  if (second === undefined && !given) return first;
  const other = second === undefined ? "given timesteps or sigmas" : FLAGS[second];
  throw new KilnError("invalid_request", `The scheduler's ${FLAGS[first]} cannot go with ${other}; choose one.`, {
    subject: FLAGS[first],
  });
}

/**
 * `count` noise levels from `high` to `low`, falling. `sigma_max` and `sigma_min` of the configuration replace the ends.
 * Sources: Karras and beta as above; exponential is even in log sigma; Lu is even in log sigma too, by
 * Lu et al. 2022 (arXiv 2206.00927), whose ends are the table's own.
 */
export function spaceSigmas(
  spacing: SigmaSpacing,
  config: SchedulerConfig,
  low: number,
  high: number,
  count: number,
): Float64Array {
  if (spacing === "lu") return lineOf(Math.log(high), Math.log(low), count).map(Math.exp);
  const min = readOptionalNumber(config, "sigma_min", Number.MIN_VALUE) ?? low;
  const max = readOptionalNumber(config, "sigma_max", Number.MIN_VALUE) ?? high;
  if (spacing === "karras") return karrasSigmas(min, max, count);
  if (spacing === "exponential") return linspace(Math.log(max), Math.log(min), count).map(Math.exp);
  return linspace(0, 1, count).map((ramp) => min + betaQuantile(1 - ramp, BETA_SHAPE, BETA_SHAPE) * (max - min));
}

/** `count` noise levels from `max` to `min` whose rho-th roots are evenly spaced: equation 5 of arXiv 2206.00364. */
export function karrasSigmas(min: number, max: number, count: number, rho = KARRAS_RHO): Float64Array {
  const [from, to] = [max ** (1 / rho), min ** (1 / rho)];
  return linspace(0, 1, count).map((ramp) => (from + ramp * (to - from)) ** rho);
}

/** The table's noise levels at timesteps between its entries, linearly; at the ends outside of it. */
export function sigmasAt(timesteps: Float64Array, table: NoiseTable): Float64Array {
  const { sigmas } = table;
  return timesteps.map((timestep) => {
    const position = Math.min(Math.max(timestep, 0), table.length - 1);
    const below = Math.min(Math.floor(position), table.length - 2);
    const low = sigmas[below] ?? sigmas[0] ?? 0;
    return low + ((sigmas[below + 1] ?? low) - low) * (position - Math.max(below, 0));
  });
}

/** The timestep, mostly between two entries of the table, whose log sigma is that of `sigma`. */
export function timestepOfSigma(sigma: number, { logSigmas, length }: NoiseTable): number {
  const logSigma = Math.log(Math.max(sigma, 1e-10));
  let index = 0;
  while (index < length - 2 && (logSigmas[index + 1] ?? Number.POSITIVE_INFINITY) <= logSigma) index++;
  const low = logSigmas[index] ?? 0;
  const high = logSigmas[index + 1] ?? low;
  const weight = low === high ? 0 : Math.min(Math.max((low - logSigma) / (low - high), 0), 1);
  return (1 - weight) * index + weight * (index + 1);
}

/** The noise level after the last step: zero, or the table's smallest. */
export function readFinalSigma(config: SchedulerConfig, smallest: number): number {
  return readChoice(config, "final_sigmas_type", ["zero", "sigma_min"], "zero") === "zero" ? 0 : smallest;
}

/** Noise levels with the closing one appended, in float32. */
export function closedSigmas(sigmas: Float64Array, last: number): Float64Array {
  return Float64Array.from([...sigmas, last], Math.fround);
}

function lineOf(from: number, to: number, count: number): Float64Array {
  return linspace(0, 1, count).map((ramp) => from + ramp * (to - from));
}
