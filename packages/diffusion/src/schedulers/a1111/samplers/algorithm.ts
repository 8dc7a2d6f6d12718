import type { NoiseDraw } from "../../scheduler.ts";

/** One evaluation of the network in the plan of a run, and what is done with its answer. */
export interface Evaluation {
  /** The noise level at which the network is asked: sigma, or the timestep where the algorithm counts in timesteps. */
  readonly level: number;
  /** Whether a step begins here; the other evaluations of a step need what the first one left in the history. */
  readonly beginsStep: boolean;
  advance(point: Point): Progress;
}

/** Where a run stands when the network has answered. */
export interface Point {
  readonly sample: Float32Array;
  /** The denoised sample that the answer stands for; epsilon where the algorithm counts in timesteps. */
  readonly prediction: Float32Array;
  /** What earlier evaluations have left, newest last. */
  readonly history: readonly Float32Array[];
  readonly draw: NoiseDraw;
}

export interface Progress {
  readonly sample: Float32Array;
  readonly history: readonly Float32Array[];
}

/** The evaluations of one run in order, and the noise that is added before the first of them, where there is any. */
export interface Plan {
  readonly evaluations: readonly Evaluation[];
  readonly prepare?: (sample: Float32Array, draw: NoiseDraw) => Float32Array;
}

/** Settings of the samplers by k-diffusion's meaning; each sampler reads its own. */
export interface SamplerOptions {
  /** How much of the noise is renewed at each step of an ancestral or stochastic sampler. */
  readonly eta: number;
  /** Stochasticity of Euler, Heun and DPM2 (arXiv 2206.00364, Algorithm 2), spread over the steps between `sTmin` and `sTmax`. */
  readonly sChurn: number;
  readonly sTmin: number;
  readonly sTmax: number;
  /** Factor on all noise that is added during a run. */
  readonly sNoise: number;
}

/** Plans a run over falling sigmas, the last of which is where the run ends (0 as a rule). */
export type SigmaSampler = (sigmas: readonly number[], options: SamplerOptions) => Plan;

/** The pairs of neighbouring sigmas: one step each. */
export function stepsOver(sigmas: readonly number[]): { readonly sigma: number; readonly next: number }[] {
  return sigmas.slice(1).map((next, index) => ({ sigma: sigmas[index] ?? 0, next }));
}

/** An array that an earlier evaluation must have left; its absence is a bug of the caller, never a user's. */
export function remembered(history: readonly Float32Array[], fromEnd: number): Float32Array {
  const values = history.at(-fromEnd);
  if (values === undefined) throw new RangeError("a run cannot begin in the middle of a step");
  return values;
}
