import { open } from "node:fs/promises";
import { KilnError } from "../errors.ts";
import { readExactly } from "./safetensors.ts";
import { toFloat32 } from "./storage-types.ts";
import type { TensorView } from "./tensor-view.ts";

/**
 * Reads a tensor and turns it into float32, row-major in the order of `view.shape` (a transposed view is turned round).
 * @throws KilnError file_not_found, or file_corrupt where the file has become shorter since it was opened
 */
export async function readTensor(view: TensorView): Promise<Float32Array> {
  const values = toFloat32(await readBytes(view), view.type);
  return view.transposed === true ? transpose(values, view.shape) : values;
}

/** The stored bytes of a view, as they lie. */
export async function readBytes(view: TensorView): Promise<Uint8Array> {
  const { source, offset, byteLength } = view;
  if (typeof source !== "string") return source.subarray(offset, offset + byteLength);
  if (byteLength === 0) return new Uint8Array(0);
  const handle = await open(source, "r").catch((cause: unknown) => {
    throw new KilnError("file_not_found", `${source} cannot be read any more: it was moved or deleted while it was in use.`, {
      subject: source,
      cause,
    });
  });
  try {
    return await readExactly(handle, offset, byteLength, source);
  } finally {
    await handle.close();
  }
}

/** From (columns, rows) as stored to the (rows, columns) that the shape names. */
function transpose(values: Float32Array, shape: readonly number[]): Float32Array {
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined || shape.length !== 2)
    throw new RangeError("only a matrix can be stored transposed");
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[row * columns + column] = values[column * rows + row] ?? 0;
  }
  return out;
}
