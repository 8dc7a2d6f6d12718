import { KilnError } from "../../errors.ts";
import type { SamplerOptions } from "./samplers/algorithm.ts";

/** What AUTOMATIC1111 lets its user set beside sampler, schedule and steps; what is left out has its default there. */
export interface A1111Options {
  /** How much of the noise is renewed: 1 for ancestral and stochastic samplers, 0 for DDIM. */
  readonly eta?: number;
  readonly sChurn?: number;
  readonly sTmin?: number;
  /** 0 is no limit. */
  readonly sTmax?: number;
  readonly sNoise?: number;
  /** Ends of the schedule in place of the model's own; 0 is the model's own. */
  readonly sigmaMin?: number;
  readonly sigmaMax?: number;
  /** The curve's exponent for Karras and Polyexponential; 0 is the schedule's own. */
  readonly rho?: number;
  /** Leaves out the sigma before the last for every sampler; DPM2, DPM2 a and DPM++ 3M SDE always do. */
  readonly discardNextToLastSigma?: boolean;
  /** The two parameters of the Beta schedule, 0.6 each. */
  readonly betaAlpha?: number;
  readonly betaBeta?: number;
}

/** Ranges that keep the arithmetic finite in float32 and are wider than any useful value. */
const LIMITS = {
  eta: [0, 10],
  sChurn: [0, 1000],
  sTmin: [0, 1e6],
  sTmax: [0, 1e6],
  sNoise: [0, 10],
  sigmaMin: [0, 1e5],
  sigmaMax: [0, 1e5],
  rho: [0, 100],
  betaAlpha: [0.01, 100],
  betaBeta: [0.01, 100],
} as const satisfies Partial<Record<keyof A1111Options, readonly [number, number]>>;

/** The options with their defaults in place; `undefined` where the default is the model's or the schedule's own. */
export interface ResolvedOptions extends SamplerOptions {
  readonly sigmaMin: number | undefined;
  readonly sigmaMax: number | undefined;
  readonly rho: number | undefined;
  readonly discardNextToLastSigma: boolean;
  readonly betaAlpha: number;
  readonly betaBeta: number;
}

/** Checks the options' ranges and fills in the defaults; raises `invalid_request` naming the option. */
export function resolveOptions(options: A1111Options, defaultEta: number): ResolvedOptions {
  for (const [name, [low, high]] of Object.entries(LIMITS)) {
    const value = Reflect.get(options, name);
    if (value === undefined) continue;
    if (typeof value !== "number" || !(value >= low && value <= high)) {
      throw new KilnError("invalid_request", `${name} must be a number from ${low} to ${high}; leave it out for its default.`, {
        subject: name,
      });
    }
  }
  return {
    eta: options.eta ?? defaultEta,
    sChurn: options.sChurn ?? 0,
    sTmin: options.sTmin ?? 0,
    sTmax: options.sTmax || Number.POSITIVE_INFINITY,
    sNoise: options.sNoise ?? 1,
    sigmaMin: options.sigmaMin || undefined,
    sigmaMax: options.sigmaMax || undefined,
    rho: options.rho || undefined,
    discardNextToLastSigma: options.discardNextToLastSigma ?? false,
    betaAlpha: options.betaAlpha ?? 0.6,
    betaBeta: options.betaBeta ?? 0.6,
  };
}
