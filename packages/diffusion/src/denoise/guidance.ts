import type { Guidance } from "./slot.ts";

/**
 * Classifier-free guidance: away from the negative prediction, towards the positive one (Ho and Salimans, arXiv 2207.12598, eq. 6),
 * with the rescaling of Lin et al. (arXiv 2305.08891, eq. 15 and 16). All arrays have one picture's size.
 */
export function guided(negative: Float32Array, positive: Float32Array, { scale, rescale }: Guidance): Float32Array {
  const result = positive.map((value, i) => {
    const base = negative[i] ?? 0;
    return base + scale * (value - base);
  });
  if (rescale === 0) return result;
  const ratio = standardDeviation(positive) / standardDeviation(result);
  return result.map((value) => rescale * value * ratio + (1 - rescale) * value);
}

function standardDeviation(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}
