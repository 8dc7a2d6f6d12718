/** Noise this close in direction is mixed in a straight line: the angle between would be divided by. */
const PARALLEL = 0.9995;

export interface NoiseShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Mixes two tensors of noise [channels, height, width] along the sphere, as AUTOMATIC1111 does for variation seeds: every
 * column of every channel is a vector of its own, and 0 is `low`. Nearly parallel noise is mixed in a straight line,
 * whose weights are the other way round there, and therefore here.
 */
export function slerp(strength: number, low: Float32Array, high: Float32Array, shape: NoiseShape): Float32Array {
  const cosines = columnCosines(low, high, shape);
  const mean = cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length;
  if (mean > PARALLEL) return low.map((value, i) => strength * value + (1 - strength) * (high[i] ?? 0));
  const { height, width } = shape;
  const weights = Array.from(cosines, (cosine) => {
    const angle = Math.acos(cosine);
    return [Math.sin((1 - strength) * angle) / Math.sin(angle), Math.sin(strength * angle) / Math.sin(angle)] as const;
  });
  return low.map((value, i) => {
    const [ofLow, ofHigh] = weights[Math.floor(i / (height * width)) * width + (i % width)] ?? [1, 0];
    return ofLow * value + ofHigh * (high[i] ?? 0);
  });
}

/** The cosine of the angle between the two tensors' columns, [channels, width]. */
function columnCosines(low: Float32Array, high: Float32Array, { channels, height, width }: NoiseShape): Float64Array {
  const cosines = new Float64Array(channels * width);
  for (let channel = 0; channel < channels; channel++) {
    for (let column = 0; column < width; column++) {
      let [product, lowSquare, highSquare] = [0, 0, 0];
      for (let row = 0; row < height; row++) {
        const i = (channel * height + row) * width + column;
        const [a, b] = [low[i] ?? 0, high[i] ?? 0];
        product += a * b;
        lowSquare += a * a;
        highSquare += b * b;
      }
      cosines[channel * width + column] = product / Math.sqrt(lowSquare * highSquare);
    }
  }
  return cosines;
}
