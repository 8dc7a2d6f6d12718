/**
 * Multiplies the states of each position by its weight and scales all of them so that their mean is what it was, as
 * AUTOMATIC1111 does for each window on its own. States whose weighted mean is 0 are only multiplied.
 *
 * @param states [positions, width], row-major; not changed
 * @param weights one for each position
 * @returns new states of the same shape; `states` itself where every weight is 1
 */
export function weightStates(states: Float32Array, weights: readonly number[]): Float32Array {
  if (weights.every((weight) => weight === 1)) return states;
  const width = states.length / weights.length;
  if (!Number.isInteger(width)) throw new RangeError(`${states.length} states do not belong to ${weights.length} positions`);
  const weighted = states.map((state, index) => state * (weights[Math.floor(index / width)] ?? 1));
  const factor = sum(states) / sum(weighted);
  return Number.isFinite(factor) ? weighted.map((state) => state * factor) : weighted;
}

function sum(values: Float32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
