import { readBytes } from "./read-tensor.ts";
import type { StorageType, TensorView, Weights } from "./tensor-view.ts";

/**
 * The names of tensors that hold NaN or infinity, at most `limit` of them. Reads every byte, one tensor at a time, so it
 * takes as long as the disk does.
 */
export async function nonFiniteTensors(weights: Weights, limit: number): Promise<string[]> {
  const found: string[] = [];
  for (const [name, view] of weights) {
    if (found.length >= limit) break;
    if (await holdsNonFinite(view)) found.push(name);
  }
  return found;
}

/** In a floating-point format with infinities, a number is not finite where all bits of its exponent are set. */
async function holdsNonFinite(view: TensorView): Promise<boolean> {
  const test = TESTS[view.type];
  return test === undefined ? false : test(await readBytes(view));
}

const TESTS: Readonly<Partial<Record<StorageType, (bytes: Uint8Array) => boolean>>> = {
  float16: (bytes) => anyWord(bytes, 0x7c00),
  bfloat16: (bytes) => anyWord(bytes, 0x7f80),
  // The upper half of a float32, and the uppermost quarter of a float64, have the sign and all of the exponent.
  float32: (bytes) => anyWord(bytes, 0x7f80, 2),
  float64: (bytes) => anyWord(bytes, 0x7ff0, 4),
  float8_e5m2: (bytes) => bytes.some((byte) => (byte & 0x7c) === 0x7c),
  float8_e4m3fn: (bytes) => bytes.some((byte) => (byte & 0x7f) === 0x7f),
};

/** Whether any element's last 16-bit word (of `words`) has all bits of the mask. */
function anyWord(bytes: Uint8Array, mask: number, words = 1): boolean {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  const codes = new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length >> 1);
  for (let i = words - 1; i < codes.length; i += words) if (((codes[i] ?? 0) & mask) === mask) return true;
  return false;
}
