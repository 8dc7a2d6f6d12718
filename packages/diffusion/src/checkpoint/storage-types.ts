import { BYTES_PER_ELEMENT, type StorageType } from "./tensor-view.ts";

/**
 * Turns stored numbers into float32.
 * @param bytes little endian, at any alignment
 * @param type how they are stored; float64 is rounded to nearest, integers become the nearest float32, bool becomes 0 or 1
 * @throws RangeError where the bytes are not a whole number of elements
 */
export function toFloat32(bytes: Uint8Array, type: StorageType): Float32Array {
  const size = BYTES_PER_ELEMENT[type];
  if (bytes.length % size !== 0) throw new RangeError(`${bytes.length} bytes are not a whole number of ${type}`);
  const aligned = align(bytes, size);
  const count = bytes.length / size;
  switch (type) {
    case "float32":
      return new Float32Array(aligned.buffer.slice(aligned.byteOffset, aligned.byteOffset + aligned.length));
    case "float64":
      return Float32Array.from(new Float64Array(aligned.buffer, aligned.byteOffset, count));
    case "int32":
      return Float32Array.from(new Int32Array(aligned.buffer, aligned.byteOffset, count));
    case "int64":
      return Float32Array.from(new BigInt64Array(aligned.buffer, aligned.byteOffset, count), Number);
    case "float16":
      return lookUp(new Uint16Array(aligned.buffer, aligned.byteOffset, count), float16Table());
    case "bfloat16":
      return fromBfloat16(new Uint16Array(aligned.buffer, aligned.byteOffset, count));
    case "float8_e4m3fn":
      return lookUp(aligned, E4M3FN_TABLE);
    case "float8_e5m2":
      return lookUp(aligned, E5M2_TABLE);
    case "uint8":
      return Float32Array.from(aligned);
    case "bool":
      return Float32Array.from(aligned, (byte) => (byte === 0 ? 0 : 1));
  }
}

/** Typed arrays must begin at a multiple of their element size; tensors in files need not. */
function align(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
}

function lookUp(codes: Uint16Array | Uint8Array, table: Float32Array): Float32Array {
  const out = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) out[i] = table[codes[i] ?? 0] ?? 0;
  return out;
}

/** bfloat16 is the upper half of a float32. */
function fromBfloat16(codes: Uint16Array): Float32Array {
  const bits = new Uint32Array(codes.length);
  for (let i = 0; i < codes.length; i++) bits[i] = (codes[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

/** The value of a small float whose exponent has `exponentBits` and whose fraction has `fractionBits`; infinities by `top`. */
function decode(code: number, exponentBits: number, fractionBits: number, top: "ieee" | "fn"): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = (code >> (exponentBits + fractionBits)) & 1 ? -1 : 1;
  const exponent = (code >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = code & (2 ** fractionBits - 1);
  const highest = exponent === 2 ** exponentBits - 1;
  if (highest && top === "ieee") return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (highest && fraction === 2 ** fractionBits - 1) return Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias);
}

/** "fn": finite, NaN only at the largest code; from "FP8 Formats for Deep Learning" (arXiv 2209.05433), table 1. */
const E4M3FN_TABLE = Float32Array.from({ length: 256 }, (_, code) => decode(code, 4, 3, "fn"));
const E5M2_TABLE = Float32Array.from({ length: 256 }, (_, code) => decode(code, 5, 2, "ieee"));

let float16: Float32Array | undefined;

function float16Table(): Float32Array {
  float16 ??= Float32Array.from({ length: 65536 }, (_, code) => decode(code, 5, 10, "ieee"));
  return float16;
}

/** The first position that holds NaN or an infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}
