import { weightedSum } from "../../arithmetic.ts";
import type { NoiseDraw } from "../../scheduler.ts";
import { type SamplerOptions, stepsOver } from "./algorithm.ts";

/** A step whose noise level is first raised to `sigmaHat`. */
export interface ChurnedStep {
  readonly sigmaHat: number;
  readonly next: number;
  /** The sample at the end of this step, raised to the level at which the following step begins. */
  readonly arrive: (sample: Float32Array, draw: NoiseDraw) => Float32Array;
}

/** The most that a step raises its noise level, less 1: the published bound, which keeps the added noise below the present. */
const MAX_GAMMA = Math.SQRT2 - 1;

/**
 * Raises the noise level at the beginning of each step (arXiv 2206.00364, Algorithm 2, lines 4 to 6).
 * As in k-diffusion, noise is drawn at every step of a run with churn, whether the step uses it or not.
 */
export function churned(
  sigmas: readonly number[],
  options: SamplerOptions,
): { steps: ChurnedStep[]; prepare: (sample: Float32Array, draw: NoiseDraw) => Float32Array } {
  const plain = stepsOver(sigmas);
  const gamma = Math.min(options.sChurn / plain.length, MAX_GAMMA);
  const raised = plain.map(({ sigma }) => (sigma >= options.sTmin && sigma <= options.sTmax ? sigma * (1 + gamma) : sigma));
  const raise = (index: number) => (sample: Float32Array, draw: NoiseDraw) => {
    const sigma = sigmas[index] ?? 0;
    const sigmaHat = raised[index];
    if (gamma === 0 || sigmaHat === undefined) return sample;
    const noise = draw();
    return sigmaHat > sigma ? weightedSum([1, sample], [options.sNoise * Math.sqrt(sigmaHat ** 2 - sigma ** 2), noise]) : sample;
  };
  return {
    steps: plain.map(({ sigma, next }, index) => ({ sigmaHat: raised[index] ?? sigma, next, arrive: raise(index + 1) })),
    prepare: raise(0),
  };
}
