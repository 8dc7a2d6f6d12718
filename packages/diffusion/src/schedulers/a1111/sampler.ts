import { KilnError } from "../../errors.ts";
import type { NoiseDraw, Scheduler, SchedulerState } from "../scheduler.ts";
import type { PredictionType } from "./denoiser.ts";
import { type A1111Names, a1111Sampler } from "./names.ts";
import { TRAINING_STEPS } from "./noise-table.ts";
import { type A1111Options, resolveOptions } from "./options.ts";
import { planSigmaRun } from "./sigma-run.ts";
import { planTimestepRun } from "./timestep-run.ts";

/** One run as AUTOMATIC1111 would do it. */
export interface A1111Run extends A1111Names {
  /** Steps asked for: 1 to `A1111_MAX_STEPS`. */
  readonly steps: number;
  /** Image to image: how far the picture is noised, 0 to 1. Left out for a run from noise. */
  readonly strength?: number;
  /** What the network predicts; epsilon where it is left out. */
  readonly predictionType?: PredictionType;
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
  /** The ends of the Brownian path that the noise comes from (`brownianNoise`), for the samplers that ask for one. */
  readonly brownianRange: { readonly sigmaMin: number; readonly sigmaMax: number } | undefined;
  /**
   * The first sample and state. Draws the run's first noise; `initLatent` is the clean latent of image to image, left out for a
   * run from noise. A sampler with churn draws once more here.
   */
  start(draw: NoiseDraw, initLatent?: Float32Array): { readonly sample: Float32Array; readonly state: SchedulerState };
}

/** The network has no more timesteps than this, so a longer run has nothing to add; AUTOMATIC1111's page ends at 150. */
export const A1111_MAX_STEPS = TRAINING_STEPS;

/**
 * Plans a run. Follows AUTOMATIC1111 1.10 over k-diffusion: continuous sigmas and timesteps, and noise drawn in its order
 * (initial noise first, then one draw a step where the sampler is ancestral).
 * Raises `invalid_request` for steps, strength or options out of range.
 */
export function createA1111Sampler(run: A1111Run): A1111Scheduler {
  if (!Number.isInteger(run.steps) || run.steps < 1 || run.steps > A1111_MAX_STEPS) {
    throw new KilnError("invalid_request", `steps must be a whole number from 1 to ${A1111_MAX_STEPS}.`, { subject: "steps" });
  }
  if (run.strength !== undefined && !(run.strength >= 0 && run.strength <= 1)) {
    throw new KilnError("invalid_request", "strength must be a number from 0 to 1.", { subject: "strength" });
  }
  const { ignoresSchedule, defaultEta } = a1111Sampler(run.sampler);
  const options = resolveOptions(run.options ?? {}, defaultEta);
  return ignoresSchedule ? planTimestepRun(run, options) : planSigmaRun(run, options);
}

/** How many steps of image to image are made, less one: AUTOMATIC1111's `t_enc`. Full strength counts as a little less. */
export function encodedSteps(strength: number, steps: number): number {
  return Math.trunc(Math.min(strength, 0.999) * steps);
}
