import type { CaseFile } from "../testing/case-file.ts";
import type { Produced } from "./comparison.ts";

/** A tensor of a case as float32 with its shape. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** @throws Error where the case has no tensor of this name. */
export function floatTensor(file: CaseFile, name: string): FloatTensor {
  const tensor = optionalFloatTensor(file, name);
  if (!tensor) throw new Error(`the case's file has no ${name}`);
  return tensor;
}

export function optionalFloatTensor(file: CaseFile, name: string): FloatTensor | undefined {
  const tensor = file.tensors.get(name);
  if (!tensor) return undefined;
  const data = tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data, Number);
  return { shape: tensor.shape, data };
}

/** The rows of the first axis. */
export function rowsOf({ shape, data }: FloatTensor): readonly Float32Array[] {
  const [count = 0] = shape;
  const size = data.length / count;
  return Array.from({ length: count }, (_, i) => data.subarray(i * size, (i + 1) * size));
}

/** Rows of one shape side by side, with a first axis that counts them. */
export function stack(rows: readonly ArrayLike<number>[], shape: readonly number[]): Produced {
  const size = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * size);
  for (const [i, row] of rows.entries()) data.set(row, i * size);
  return { shape: [rows.length, ...shape], data };
}

/** The size of the last axis; of the last but one with 2; and so on. */
export function fromEnd({ shape }: { shape: readonly number[] }, place: number): number {
  const size = shape.at(-place);
  if (size === undefined) throw new Error(`a tensor of ${shape.length} axes has none ${place} from the end`);
  return size;
}
