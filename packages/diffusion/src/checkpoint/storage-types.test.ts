import { describe, expect, test } from "vitest";
import { firstNonFinite, toFloat32 } from "./storage-types.ts";
import type { StorageType } from "./tensor-view.ts";

const u16 = (...codes: number[]) => new Uint8Array(new Uint16Array(codes).buffer);

describe("toFloat32", () => {
  // The codes and values are torch's: torch.tensor(codes).view(dtype).float().
  const cases: readonly [StorageType, Uint8Array, readonly number[]][] = [
    [
      "float16",
      u16(0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x8000, 0x7c00, 0xfc00),
      [1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, -0, Infinity, -Infinity],
    ],
    ["bfloat16", u16(0x3f80, 0xc000, 0x7f7f, 0x0001, 0x7f80), [1, -2, 255 * 2 ** 120, 2 ** -133, Infinity]],
    ["float8_e4m3fn", new Uint8Array([0x38, 0xc0, 0x7e, 0x01, 0x80]), [1, -2, 448, 0.001953125, -0]],
    ["float8_e5m2", new Uint8Array([0x3c, 0xc0, 0x7b, 0x01, 0x7c]), [1, -2, 57344, 0.0000152587890625, Infinity]],
    ["float64", new Uint8Array(new Float64Array([0.1, -3]).buffer), [Math.fround(0.1), -3]],
    ["int64", new Uint8Array(new BigInt64Array([-5n, 76n]).buffer), [-5, 76]],
    ["int32", new Uint8Array(new Int32Array([-5, 76]).buffer), [-5, 76]],
    ["uint8", new Uint8Array([0, 255]), [0, 255]],
    ["bool", new Uint8Array([0, 1, 2]), [0, 1, 1]],
    ["float32", new Uint8Array(new Float32Array([1.5, -0]).buffer), [1.5, -0]],
  ];
  test.each(cases)("%s", (type, bytes, values) => {
    expect([...toFloat32(bytes, type)]).toEqual(values);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect([...toFloat32(shifted.subarray(1), type)]).toEqual(values);
  });

  test("NaN codes", () => {
    expect([...toFloat32(u16(0x7e00), "float16"), ...toFloat32(u16(0x7fc0), "bfloat16")]).toEqual([NaN, NaN]);
    expect([
      ...toFloat32(new Uint8Array([0x7f, 0xff]), "float8_e4m3fn"),
      ...toFloat32(new Uint8Array([0x7d]), "float8_e5m2"),
    ]).toEqual([NaN, NaN, NaN]);
  });

  test("a broken element is refused", () => {
    expect(() => toFloat32(new Uint8Array(3), "float16")).toThrow(RangeError);
  });
});

test("NaN and infinity are found", () => {
  expect(firstNonFinite(new Float32Array([1, -Infinity]))).toBe(1);
  expect(firstNonFinite(new Float32Array([1]))).toBe(-1);
});
