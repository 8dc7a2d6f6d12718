/** Numbers in JavaScript memory on their way into or out of a network, row-major. */
export interface Tensor {
  readonly type: "float32" | "int64";
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
  /** The array never changes: a backend may keep what it made of it, for as long as the same array comes again. */
  readonly lasting?: boolean;
}

/** A float32 tensor; throws when the shape and the number of elements disagree (a bug in Kiln, never a user's). */
export function floatTensor(data: Float32Array, shape: readonly number[]): Tensor & { data: Float32Array } {
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== data.length) throw new RangeError(`${data.length} numbers do not fill [${shape.join(", ")}]`);
  return { type: "float32", shape, data };
}

/** One array after the other. */
export function concatenate(...parts: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
