/** One addend of a linear combination: a factor and the numbers it multiplies. */
export type Term = readonly [factor: number, values: Float32Array];

/**
 * The sum of `factor * values` over all terms, element by element. Arrays have one length, the sample's;
 * the sum is held in float64 and rounded to float32 once.
 */
export function combine(...terms: readonly Term[]): Float32Array {
  const length = terms[0]?.[1].length ?? 0;
  const sum = new Float64Array(length);
  for (const [factor, values] of terms) {
    if (values.length !== length) throw new RangeError(`${values.length} numbers cannot be added to ${length}`);
    values.forEach((value, index) => {
      sum[index] = (sum[index] ?? 0) + factor * value;
    });
  }
  return new Float32Array(sum);
}

/** `count` numbers from `start` to `end`, both included, as torch and NumPy space them; one number is `start` alone. */
export function linspace(start: number, end: number, count: number): number[] {
  if (count === 1) return [start];
  return Array.from({ length: count }, (_, index) => start + ((end - start) * index) / (count - 1));
}
