import { roundHalfToEven } from "../round-half-to-even.ts";

/** Number types that noise is drawn in. */
export type NormalType = "float32" | "float16" | "bfloat16" | "float64";

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** The nearest IEEE 754 binary16 number, ties to even; from 65520 on, infinity. */
export function roundToFloat16(value: number): number {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || size === 0) return value;
  if (size >= 65520) return value < 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  // Below the smallest normal number, 2^-14, the spacing stays at 2^-24.
  const exponent = Math.max(Math.floor(Math.log2(size)), -14);
  const unit = 2 ** (exponent - 10);
  return roundHalfToEven(value / unit) * unit;
}

/** The nearest bfloat16 number to the float32 nearest to `value`, ties to even. */
export function roundToBfloat16(value: number): number {
  float[0] = value;
  const word = bits[0] ?? 0;
  if (!Number.isFinite(value)) return value;
  bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return float[0] ?? 0;
}

/** The rounding that a number type's storage does. */
export function rounding(type: NormalType): (value: number) => number {
  if (type === "float16") return roundToFloat16;
  if (type === "bfloat16") return roundToBfloat16;
  return type === "float32" ? Math.fround : (value) => value;
}
