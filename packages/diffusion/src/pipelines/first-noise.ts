import { createRandom } from "../random/create-random.ts";
import type { RandomKind } from "../random/random.ts";
import { type NoiseShape, slerp } from "../random/slerp.ts";
import type { PictureSeed } from "./picture-seeds.ts";

export interface NoiseOptions {
  readonly kind: RandomKind;
  /** Of the latents that are drawn. */
  readonly shape: NoiseShape;
  /** The size in latents whose noise lies in the middle. */
  readonly resizeFrom: { readonly height: number; readonly width: number } | undefined;
}

/**
 * The noise that a picture grows from, as AUTOMATIC1111's `ImageRNG.first` makes it: mixed with the variation seed's, and where
 * the seed was found at another size, with that size's noise in the middle of this one's.
 * @param drawn the seed's own first draw, of this size
 */
export function firstNoise(drawn: Float32Array, { seed, variation }: PictureSeed, options: NoiseOptions): Float32Array {
  const { kind, shape, resizeFrom } = options;
  if (!variation && !resizeFrom) return drawn;
  const from: NoiseShape = { channels: shape.channels, ...(resizeFrom ?? { height: shape.height, width: shape.width }) };
  const fresh = (of: bigint) => Float32Array.from(createRandom(kind, of).normal(from.channels * from.height * from.width));
  const plain = resizeFrom ? fresh(seed) : drawn;
  const noise = variation ? slerp(variation.strength, plain, fresh(variation.seed), from) : plain;
  return resizeFrom ? layInMiddle(noise, from, drawn, shape) : noise;
}

/** `around`, with `noise` over its middle; what is larger than `around` is cut equally on both sides. */
function layInMiddle(noise: Float32Array, from: NoiseShape, around: Float32Array, shape: NoiseShape): Float32Array {
  const out = around.slice();
  const [dx, dy] = [Math.floor((shape.width - from.width) / 2), Math.floor((shape.height - from.height) / 2)];
  // As there: an odd difference loses one more where the noise is the larger.
  const width = dx >= 0 ? from.width : from.width + 2 * dx;
  const height = dy >= 0 ? from.height : from.height + 2 * dy;
  for (let channel = 0; channel < shape.channels; channel++) {
    for (let row = 0; row < height; row++) {
      const start = (channel * from.height + row + Math.max(-dy, 0)) * from.width + Math.max(-dx, 0);
      const at = (channel * shape.height + row + Math.max(dy, 0)) * shape.width + Math.max(dx, 0);
      out.set(noise.subarray(start, start + width), at);
    }
  }
  return out;
}
