/** Number types that a checkpoint may store. Every one becomes float32 (or the backend's precision) when it is used. */
export type StorageType =
  | "float32"
  | "float16"
  | "bfloat16"
  | "float64"
  | "float8_e4m3fn"
  | "float8_e5m2"
  | "int64"
  | "int32"
  | "uint8"
  | "bool";

export const BYTES_PER_ELEMENT: Readonly<Record<StorageType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
};

/**
 * A tensor where it lies: a range of bytes in a file (or in memory), its type and its shape.
 * Nothing is read until a backend maps the file or `readTensor` is called.
 */
export interface TensorView {
  /** The real path (symlinks resolved) of the file that holds the bytes, or the bytes themselves. */
  readonly source: string | Uint8Array;
  /** First byte, counted from the beginning of the file. Any value: files need not align. */
  readonly offset: number;
  readonly byteLength: number;
  readonly type: StorageType;
  readonly shape: readonly number[];
  /**
   * True where a two-dimensional tensor is stored as the transpose of `shape`
   * (OpenCLIP's `text_projection` is (in, out); the vocabulary's linear weights are (out, in)).
   */
  readonly transposed?: boolean;
}

/** The tensors of one network under the names that its model file uses (diffusers' names). */
export type Weights = ReadonlyMap<string, TensorView>;
