import type { NormalType } from "./narrow-float.ts";

/**
 * A seeded stream of normally distributed numbers. The same seed and the same calls give the same
 * numbers as the reference implementation, on every machine.
 */
export interface RandomSource {
  /** Draws one tensor of `count` standard normal numbers; like torch, the number of elements drawn at once matters. */
  normal(count: number, type?: NormalType): Float32Array | Float64Array;
  /** Everything that is needed to go on from here, as plain JSON data. */
  state(): RandomState;
}

/** A generator's position as JSON: written with a parked slot and read back in another process. */
export interface RandomState {
  readonly kind: RandomKind;
  /** Decimal, because seeds reach 2^64 - 1. */
  readonly seed: string;
  /** The algorithm's own state (torch: the 624 words and the position; Philox: the number of draws so far). */
  readonly words: readonly number[];
}

/** `torch-cpu`: what diffusers draws with a CPU generator. `philox`: what AUTOMATIC1111 calls "NV". */
export type RandomKind = "torch-cpu" | "philox";
