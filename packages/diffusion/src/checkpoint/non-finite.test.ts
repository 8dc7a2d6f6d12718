import { expect, test } from "vitest";
import { nonFiniteTensors } from "./non-finite.ts";
import type { StorageType, TensorView } from "./tensor-view.ts";

const view = (type: StorageType, source: Uint8Array): TensorView => ({
  source,
  offset: 0,
  byteLength: source.length,
  type,
  shape: [],
});
const bytes = (array: { buffer: ArrayBuffer }) => new Uint8Array(array.buffer);

test("tensors with NaN or infinity are named, whatever their type, and others are not", async () => {
  const bad: [string, TensorView][] = [
    ["f16", view("float16", bytes(new Uint16Array([0, 0x7c00])))],
    ["bf16", view("bfloat16", bytes(new Uint16Array([0, 0xffc0])))],
    ["f32", view("float32", bytes(new Float32Array([1, Number.NaN])))],
    ["f64", view("float64", bytes(new Float64Array([1, Number.NEGATIVE_INFINITY])))],
    ["e5m2", view("float8_e5m2", new Uint8Array([0, 0xfc]))],
    ["e4m3", view("float8_e4m3fn", new Uint8Array([0, 0xff]))],
  ];
  const good: [string, TensorView][] = [
    ["f16 large", view("float16", bytes(new Uint16Array([0x7bff, 0xfbff])))],
    ["bf16 large", view("bfloat16", bytes(new Uint16Array([0x7f7f])))],
    ["f32 large, with a low half like NaN", view("float32", bytes(new Uint32Array([0x3f807fff, 0x7f7fffff])))],
    ["f64 large", view("float64", bytes(new Float64Array([Number.MAX_VALUE])))],
    ["e4m3 large", view("float8_e4m3fn", new Uint8Array([0x7e, 0xfe]))],
    ["integers", view("int64", bytes(new BigInt64Array([-1n])))],
  ];
  expect(await nonFiniteTensors(new Map([...bad, ...good]), 100)).toEqual(bad.map(([name]) => name));
  expect(await nonFiniteTensors(new Map(bad), 2)).toHaveLength(2);
});
