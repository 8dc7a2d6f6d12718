import { KilnError } from "../../errors.ts";
import type { Prediction } from "../prediction.ts";
import type { BrownianInterval, NoiseDraw, Scheduler, SchedulerState } from "../scheduler.ts";
import type { A1111Names } from "./names.ts";
import { TRAINING_STEPS } from "./noise-table.ts";
import type { A1111Options } from "./options.ts";

/** One run as AUTOMATIC1111 would do it. */
export interface A1111Run extends A1111Names {
  /** Steps asked for: 1 to `A1111_MAX_STEPS`. */
  readonly steps: number;
  /** Image to image: how far the picture is noised, 0 to 1. Left out for a run from noise. */
  readonly strength?: number;
  /**
   * Image to image makes exactly `steps` steps, of a schedule that is longer by `1 / strength`: the second pass of hires fix,
   * and AUTOMATIC1111's setting "do exactly the amount of steps". Otherwise `strength * steps` are made.
   */
  readonly exactSteps?: boolean;
  /** What the network predicts; epsilon where it is left out. */
  readonly predictionType?: Prediction;
  readonly zeroTerminalSnr?: boolean;
  /** Which Align Your Steps table is meant; "sdxl" where it is left out. */
  readonly family?: "sdxl" | "sd15";
  readonly options?: A1111Options;
}

/** A sampler of AUTOMATIC1111 as a scheduler of Kiln. `timesteps` holds the evaluations of this run alone: image to image begins at index 0 too. */
export interface A1111Scheduler extends Scheduler {
  /** The whole schedule, also for image to image; empty for DDIM, PLMS and UniPC. */
  readonly sigmas: Float64Array;
  /** The sigmas of this run: all of them, or the last ones for image to image. */
  readonly runSigmas: Float64Array;
  /** The standard deviation of the noise at the beginning of this run: `runSigmas[0]`, or 1 where there are no sigmas. */
  readonly initNoiseSigma: number;
  /** Set for the samplers that draw from a Brownian path; AUTOMATIC1111 fills it with Philox numbers under the picture's seed. */
  readonly brownian?: BrownianInterval;
  /**
   * The first sample and state. Draws the run's first noise; `initLatent` is the clean latent of image to image, left out for a
   * run from noise. A sampler with churn draws once more here.
   */
  start(draw: NoiseDraw, initLatent?: Float32Array): { readonly sample: Float32Array; readonly state: SchedulerState };
  /**
   * The same run for inpainting: outside the mask it goes towards the clean latents. Samplers in sigmas take them for the network's
   * estimate; those in timesteps show them to the network, without noise, as AUTOMATIC1111 does. The last sample's rest is the caller's to put back.
   * @param mask [1, height, width]: 1 where the picture is painted anew
   */
  keeping(clean: Float32Array, mask: Float32Array): A1111Scheduler;
}

/** The network has no more timesteps than this, so a longer run has nothing to add; AUTOMATIC1111's page ends at 150. */
export const A1111_MAX_STEPS = TRAINING_STEPS;

/** A little less than full strength, so that image to image always leaves out a step's worth of noise. */
const MAX_STRENGTH = 0.999;

/** How long a run's schedule is, and for image to image how many steps from its end the run begins, less one. */
export interface RunLength {
  readonly scheduleSteps: number;
  readonly encodedSteps: number | undefined;
}

/** Checks steps and strength, and works out the schedule's length. Raises `invalid_request` for either out of range. */
export function runLength({ steps, strength, exactSteps }: A1111Run): RunLength {
  if (!Number.isInteger(steps) || steps < 1 || steps > A1111_MAX_STEPS) {
    throw new KilnError("invalid_request", `steps must be a whole number from 1 to ${A1111_MAX_STEPS}.`, { subject: "steps" });
  }
  if (strength === undefined) return { scheduleSteps: steps, encodedSteps: undefined };
  if (!(strength >= 0 && strength <= 1)) {
    throw new KilnError("invalid_request", "strength must be a number from 0 to 1.", { subject: "strength" });
  }
  const capped = Math.min(strength, MAX_STRENGTH);
  if (exactSteps !== true) return { scheduleSteps: steps, encodedSteps: Math.trunc(capped * steps) };
  const scheduleSteps = Math.trunc(steps / capped);
  if (scheduleSteps <= A1111_MAX_STEPS) return { scheduleSteps, encodedSteps: steps - 1 };
  const message = `${steps} steps at strength ${strength} would need a schedule of more than ${A1111_MAX_STEPS}; ask for fewer steps or more strength.`;
  throw new KilnError("invalid_request", message, { subject: "strength" });
}
