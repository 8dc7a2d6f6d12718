import type { RandomSource, RandomState } from "../random/random.ts";
import type { NoiseDraw } from "../schedulers/scheduler.ts";

/** Where the noise of a slot's steps comes from. */
export interface NoiseStream {
  readonly draw: NoiseDraw;
  /** Undefined where the stream has no memory. */
  state(): RandomState | undefined;
}

/** One draw after the other from the generator that made the first sample. */
export function sequentialNoise(random: RandomSource, count: number): NoiseStream {
  return { draw: () => Float32Array.from(random.normal(count)), state: () => random.state() };
}
