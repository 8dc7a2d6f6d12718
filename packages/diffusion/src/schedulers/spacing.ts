import { KilnError } from "../errors.ts";
import { roundHalfToEven } from "../round-half-to-even.ts";
import { badValue, MAX_STEPS, readChoice, readInteger } from "./config.ts";
import type { SchedulerConfig, SchedulerRun } from "./scheduler.ts";

const SPACINGS = ["linspace", "leading", "trailing"] as const;
export type Spacing = (typeof SPACINGS)[number];

export function readSpacing(config: SchedulerConfig, fallback: Spacing): Spacing {
  return readChoice(config, "timestep_spacing", SPACINGS, fallback);
}

/**
 * The training timesteps of a run, falling, spaced as Lin et al. 2023 (arXiv 2305.08891, table 2) name it.
 * `leading` counts up from `steps_offset`, `trailing` down from the end, `linspace` meets both ends.
 *
 * Trailing gives exactly `steps` timesteps; diffusers' arithmetic gives one more, -1, for a few numbers of steps
 * (61, 103, 121 ...), which lies outside of the network's range.
 */
export function spacedTimesteps(config: SchedulerConfig, fallback: Spacing, steps: number, train: number): Float64Array {
  const spacing = readSpacing(config, fallback);
  if (spacing === "trailing") return trailing(steps, train, train);
  if (spacing === "linspace") return linspace(0, train - 1, steps).reverse();
  const ratio = Math.floor(train / steps);
  const offset = readOffset(config, train);
  return Float64Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + offset);
}

/**
 * As `spacedTimesteps`, for the multistep solvers, which space one timestep more and leave out the lowest:
 * they end at a noise level, not at an evaluation. Whole numbers.
 * @param last timesteps from here on are left out (`lambda_min_clipped`); the number of training timesteps where none are
 */
export function spacedTimestepsWithEnd(
  spacing: Spacing,
  config: SchedulerConfig,
  steps: number,
  train: number,
  last = train,
): Float64Array {
  if (spacing === "trailing") return trailing(steps, train, last);
  const offset = spacing === "leading" ? readOffset(config, train) : 0;
  const points =
    spacing === "linspace"
      ? linspace(0, last - 1, steps + 1).map(roundHalfToEven)
      : Float64Array.from({ length: steps + 1 }, (_, i) => i * Math.floor(last / (steps + 1)));
  return points
    .reverse()
    .subarray(0, steps)
    .map((timestep) => timestep + offset);
}

/** The steps of a run: a whole number from 1 to the network's own timesteps, at most 1000. */
export function readSteps(run: SchedulerRun, train: number): number {
  const most = Math.min(train, MAX_STEPS);
  if (Number.isInteger(run.steps) && run.steps >= 1 && run.steps <= most) return run.steps;
  throw new KilnError("invalid_request", `steps must be a whole number from 1 to ${most}, not ${run.steps}.`, {
    subject: "steps",
  });
}

/** Timesteps that the request gives: falling, within the network's range. */
export function readGivenTimesteps(run: SchedulerRun, train: number): readonly number[] | undefined {
  const { timesteps } = run;
  if (timesteps === undefined) return undefined;
  const falling = timesteps.every((timestep, i) => timestep >= 0 && timestep < (timesteps[i - 1] ?? train));
  if (falling && timesteps.length > 0 && timesteps.length <= MAX_STEPS) return timesteps;
  throw badValue("timesteps", timesteps, `a falling list of 1 to ${MAX_STEPS} numbers from ${train - 1} to 0`);
}

/** Sigmas that the request gives: falling, at least two, none below zero. */
export function readGivenSigmas(run: SchedulerRun): readonly number[] | undefined {
  const { sigmas } = run;
  if (sigmas === undefined) return undefined;
  const falling = sigmas.every((sigma, i) => sigma >= 0 && sigma < (sigmas[i - 1] ?? Number.POSITIVE_INFINITY));
  if (falling && sigmas.length > 1 && sigmas.length <= MAX_STEPS + 1) return sigmas;
  throw badValue("sigmas", sigmas, `a falling list of 2 to ${MAX_STEPS + 1} numbers that ends at 0 or above`);
}

/** Refuses what an algorithm has no use for, so that a request never gets another schedule than it names. */
export function refuseGiven(run: SchedulerRun, ...fields: readonly ("timesteps" | "sigmas")[]): void {
  for (const field of fields) {
    if (run[field] === undefined) continue;
    const message = `This scheduler takes no given ${field}; leave the field out, or choose another scheduler (Euler takes both).`;
    throw new KilnError("invalid_request", message, { subject: field });
  }
}

/** numpy's `linspace`; a single point is the first end. */
export function linspace(start: number, end: number, count: number): Float64Array {
  const step = (end - start) / (count - 1);
  return Float64Array.from({ length: count }, (_, i) => (i === 0 ? start : i === count - 1 ? end : start + i * step));
}

function trailing(steps: number, train: number, last: number): Float64Array {
  const ratio = train / steps;
  const count = Math.min(steps, Math.ceil(last / ratio));
  // The difference of the first two numbers, not the ratio itself, as numpy's `arange` counts: halves fall on its side.
  const step = last - ratio - last;
  return Float64Array.from({ length: count }, (_, i) => roundHalfToEven(last + i * step) - 1);
}

function readOffset(config: SchedulerConfig, train: number): number {
  return readInteger(config, "steps_offset", 0, 0, train - 1);
}
