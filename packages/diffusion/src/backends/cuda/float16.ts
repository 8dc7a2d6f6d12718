import type { ComputeType } from "./weight-request.ts";

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The code of the IEEE 754 binary16 number nearest to a float32, ties to even; from 65520 on, infinity. */
export function float16Code(value: number): number {
  float[0] = value;
  const bits = word[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fff_ffff;
  if (size >= INFINITY_FROM) return sign | (size > 0x7f80_0000 ? 0x7e00 : 0x7c00);
  if (size >= NORMAL_FROM) return sign | ((size - REBIAS + 0xfff + ((size >>> 13) & 1)) >>> 13);
  // Below the smallest normal number codes count multiples of 2^-24; adding a number whose last bit is 2^-24 rounds to one.
  float[0] = Math.abs(value) + 0.5;
  return sign | ((word[0] ?? 0) - HALF);
}

/** 65520 as a float32: halfway between the largest binary16 number and the next, which there is none of. */
const INFINITY_FROM = 0x477f_f000;
/** 2^-14 as a float32: the smallest normal binary16 number. */
const NORMAL_FROM = 0x3880_0000;
/** Float32 counts exponents from -127, binary16 from -15. */
const REBIAS = (127 - 15) << 23;
/** 0.5 as a float32, whose last bit is 2^-24. */
const HALF = 0x3f00_0000;

/** Numbers as the bytes of a tensor of this type, little endian. */
export function numberBytes(values: Float32Array, type: ComputeType): Uint8Array {
  if (type === "float32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const codes = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) codes[i] = float16Code(values[i] ?? 0);
  return new Uint8Array(codes.buffer);
}
