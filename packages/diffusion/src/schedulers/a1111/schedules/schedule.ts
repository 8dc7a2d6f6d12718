import type { Denoiser } from "../denoiser.ts";

/** What a schedule is computed from. */
export interface ScheduleInput {
  /** How many noise levels are asked for, without the closing 0. */
  readonly n: number;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** The curve's exponent; undefined is the schedule's own default. */
  readonly rho: number | undefined;
  readonly denoiser: Denoiser;
  /** Which table of Align Your Steps is meant: SDXL has its own, every other network takes that of SD 1.5. */
  readonly family: "sdxl" | "sd15";
  readonly betaAlpha: number;
  readonly betaBeta: number;
}

/** Noise levels from the first to the last, the closing 0 included where the schedule has one. */
export type Schedule = (input: ScheduleInput) => number[];
