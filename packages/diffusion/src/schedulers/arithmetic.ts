/** A factor and what it multiplies. */
export type Term = readonly [factor: number, values: Float32Array];

/** The sum of the terms, number by number, in float64 and rounded once. */
export function weightedSum(...terms: readonly Term[]): Float32Array {
  const [first, ...rest] = terms;
  if (first === undefined) return new Float32Array(0);
  const [factor, values] = first;
  const sum = Float64Array.from(values, (value) => factor * value);
  for (const [weight, others] of rest) {
    if (others.length !== sum.length) throw new RangeError(`a scheduler was given ${others.length} numbers beside ${sum.length}`);
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + weight * (others[i] ?? 0);
  }
  return Float32Array.from(sum);
}

/** From one noise level to another along the straight line through the predicted sample. */
export function eulerStep(sample: Float32Array, original: Float32Array, from: number, to: number): Float32Array {
  return weightedSum([to / from, sample], [1 - to / from, original]);
}

export function clampAll(values: Float32Array, low: number, high: number): Float32Array {
  return values.map((value) => Math.min(Math.max(value, low), high));
}

/** An entry of a run's table. Beyond its ends lies a caller's mistake, such as a step after the last. */
export function entry(table: Float64Array, index: number): number {
  const value = table[index];
  if (value === undefined) throw new RangeError(`evaluation ${index} is outside of the run's ${table.length} entries`);
  return value;
}

/** Solves a square system of equations by Gaussian elimination with partial pivoting. */
export function solveLinear(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] ?? 0]);
  const size = rows.length;
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) if (Math.abs(at(row, column)) > Math.abs(at(pivot, column))) pivot = row;
    const swapped = rows[pivot] ?? [];
    rows[pivot] = rows[column] ?? [];
    rows[column] = swapped;
    for (let row = column + 1; row < size; row++) {
      const factor = at(row, column) / at(column, column);
      rows[row] = rows[row]?.map((value, k) => value - factor * at(column, k)) ?? [];
    }
  }
  const solution = new Array<number>(size).fill(0);
  for (let row = size - 1; row >= 0; row--) {
    const known = solution.reduce((sum, value, k) => (k > row ? sum + at(row, k) * value : sum), 0);
    solution[row] = (at(row, size) - known) / at(row, row);
  }
  return solution;
}

/**
 * One tensor where the mask is 1 and another where it is 0, in between where it is neither.
 * @param mask [1, height, width] for both tensors' channels
 */
export function blendByMask(inside: Float32Array, outside: Float32Array, mask: Float32Array): Float32Array {
  return inside.map((value, i) => {
    const part = mask[i % mask.length] ?? 0;
    return (1 - part) * (outside[i] ?? 0) + part * value;
  });
}
