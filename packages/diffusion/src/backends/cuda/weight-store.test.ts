import { expect, it } from "vitest";
import { toFloat32 } from "../../checkpoint/storage-types.ts";
import type { StorageType } from "../../checkpoint/tensor-view.ts";
import { float16Code, numberBytes } from "./float16.ts";
import { weightBytes } from "./weight-store.ts";
import { kernelChannelsLast } from "./weight-writer.ts";

it("finds the nearest float16 code of every float16 number and of what lies between two", () => {
  const all = toFloat32(new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, code) => code).buffer), "float16");
  const wrong: number[] = [];
  for (const [code, value] of all.entries()) if (!Number.isNaN(value) && float16Code(value) !== code) wrong.push(code);
  for (let code = 0; code < 0x7bff; code++) {
    const middle = ((all[code] ?? 0) + (all[code + 1] ?? 0)) / 2;
    const even = code % 2 === 0 ? code : code + 1;
    if (float16Code(middle) !== even || float16Code(-middle) !== (even | 0x8000)) wrong.push(code);
  }
  expect(wrong).toEqual([]);
});

it("keeps infinities and what is no number, and rounds what is too large to infinity", () => {
  expect(float16Code(Number.POSITIVE_INFINITY)).toBe(0x7c00);
  expect(float16Code(-65_520)).toBe(0xfc00);
  expect(float16Code(65_519)).toBe(0x7bff);
  expect(float16Code(Number.NaN) & 0x7c00).toBe(0x7c00);
  expect(float16Code(Number.NaN) & 0x3ff).not.toBe(0);
  expect(float16Code(2 ** -26)).toBe(0);
});

it("turns kernels channels last", () => {
  const values = Float32Array.from({ length: 2 * 3 * 2 * 2 }, (_, i) => i);
  const turned = kernelChannelsLast(values, [2, 2, 2, 3]);
  for (let o = 0; o < 2; o++)
    for (let c = 0; c < 3; c++) for (let p = 0; p < 4; p++) expect(turned[o * 12 + p * 3 + c]).toBe(values[o * 12 + c * 4 + p]);
});

const SMALL = [1, -2, 0.5, 0, 1.5, -0.25];
const CODES: Record<string, (value: number) => Uint8Array> = {
  float32: (value) => new Uint8Array(new Float32Array([value]).buffer),
  float16: (value) => numberBytes(new Float32Array([value]), "float16"),
  bfloat16: (value) => new Uint8Array(new Float32Array([value]).buffer).slice(2),
  float64: (value) => new Uint8Array(new Float64Array([value]).buffer),
};

it.each(Object.keys(CODES))("brings %s to both compute types, also from an odd byte and turned", async (name) => {
  const type = name as StorageType;
  const stored = Buffer.concat([Buffer.from([7]), ...SMALL.map((value) => CODES[name]?.(value) ?? new Uint8Array())]);
  const tensor = { source: new Uint8Array(stored), offset: 1, byteLength: stored.length - 1, type, shape: [2, 3] };
  const float16 = await weightBytes({ tensor, type: "float16", layout: "stored", shape: [2, 3] });
  expect([...toFloat32(float16, "float16")]).toEqual(SMALL);
  const float32 = await weightBytes({ tensor, type: "float32", layout: "stored", shape: [2, 3] });
  expect([...toFloat32(float32, "float32")]).toEqual(SMALL);
  const turned = await weightBytes({
    tensor: { ...tensor, shape: [3, 2], transposed: true },
    type: "float16",
    layout: "stored",
    shape: [3, 2],
  });
  expect([...toFloat32(turned, "float16")]).toEqual([1, 0, -2, 1.5, 0.5, -0.25]);
});
