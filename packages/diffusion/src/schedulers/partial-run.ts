import { KilnError } from "../errors.ts";
import { roundHalfToEven } from "../round-half-to-even.ts";
import type { Scheduler } from "./scheduler.ts";

/** Schedulers that do not say otherwise belong to networks of 1000 training timesteps. */
const DEFAULT_TRAIN_TIMESTEPS = 1000;

/** The evaluations that a part of a run does: `begin` up to, not including, `end`. */
export interface EvaluationRange {
  readonly begin: number;
  readonly end: number;
}

/**
 * The first evaluation of an image to image run: the last `floor(steps * strength)` steps are done, as diffusers'
 * `get_timesteps` counts them. Strength 0, or so little that no step is left, gives the number of evaluations.
 * @param steps the steps asked for; where timesteps are given, the number of `scheduler.timesteps`
 * @throws KilnError `invalid_request` for a strength outside of 0..1
 */
export function startIndexForStrength(scheduler: Scheduler, steps: number, strength: number): number {
  checkFraction("strength", strength);
  const done = Math.min(Math.floor(steps * strength), steps);
  return Math.min((steps - done) * scheduler.order, scheduler.timesteps.length);
}

/**
 * The evaluations from `denoisingStart` to `denoisingEnd`, fractions of the whole denoising (SDXL's ensemble: the base
 * does 0 to 0.8 and the refiner 0.8 to 1), as diffusers' SDXL pipelines cut them. A fraction is one of the training
 * timesteps, so where a step falls depends on the spacing. A run that starts within a step of two evaluations starts at its beginning.
 * @throws KilnError `invalid_request` for fractions outside of 0..1 and for a start that is not before the end
 */
export function evaluationRange(scheduler: Scheduler, denoisingStart = 0, denoisingEnd = 1): EvaluationRange {
  checkFraction("denoising_start", denoisingStart);
  checkFraction("denoising_end", denoisingEnd);
  if (denoisingStart >= denoisingEnd) {
    const message = `denoising_start must be below denoising_end; ${denoisingStart} is not below ${denoisingEnd}.`;
    throw new KilnError("invalid_request", message, { subject: "denoising_start" });
  }
  const begin = denoisingStart > 0 ? beginOf(scheduler, denoisingStart) : 0;
  return { begin, end: denoisingEnd < 1 ? Math.max(endOf(scheduler, denoisingEnd, begin), begin) : scheduler.timesteps.length };
}

function beginOf(scheduler: Scheduler, start: number): number {
  const cutoff = cutoffTimestep(scheduler, start);
  const left = scheduler.timesteps.filter((timestep) => timestep < cutoff).length;
  const middleOfStep = scheduler.order === 2 && left % 2 === 0;
  return Math.max(scheduler.timesteps.length - left - (middleOfStep ? 1 : 0), 0);
}

function endOf(scheduler: Scheduler, end: number, begin: number): number {
  const cutoff = cutoffTimestep(scheduler, end);
  return begin + scheduler.timesteps.subarray(begin).filter((timestep) => timestep >= cutoff).length;
}

/** The fraction's training timestep, rounded as Python rounds. */
function cutoffTimestep(scheduler: Scheduler, fraction: number): number {
  const train = scheduler.trainTimesteps ?? DEFAULT_TRAIN_TIMESTEPS;
  return roundHalfToEven(train - fraction * train);
}

function checkFraction(field: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new KilnError("invalid_request", `${field} must be a number from 0 to 1, not ${value}.`, { subject: field });
}
