/** Rows of a matrix as signed bytes: value = byte times the scale of its row. */
export interface QuantizedRows {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** Symmetric, so that no zero point is needed: -128 stays unused. */
const LARGEST = 127;

/**
 * Rounds each row to 255 steps between its largest size and its negative (symmetric per output channel, as in
 * Wu et al., arXiv 2004.09602, section 3.2.1 and table 3). A row that holds NaN or an infinity gets the scale NaN, so that it
 * spoils its outputs as it does in other precisions.
 * @param matrix rows one after another, each of `columns` numbers
 */
export function quantizeRows(matrix: Float32Array, columns: number): QuantizedRows {
  const values = new Int8Array(matrix.length);
  const scales = new Float32Array(matrix.length / columns);
  for (let row = 0; row < scales.length; row++) {
    const first = row * columns;
    const scale = largestSize(matrix, first, first + columns) / LARGEST;
    scales[row] = scale;
    if (scale === 0) continue;
    for (let i = first; i < first + columns; i++) values[i] = Math.round((matrix[i] ?? 0) / scale);
  }
  return { values, scales };
}

/** NaN where one of the numbers is not finite. */
function largestSize(numbers: Float32Array, from: number, to: number): number {
  let largest = 0;
  let broken = 0;
  for (let i = from; i < to; i++) {
    const value = numbers[i] ?? 0;
    const size = Math.abs(value);
    if (size > largest) largest = size;
    broken += value * 0; // NaN from the first number that is not finite
  }
  return largest + broken;
}
