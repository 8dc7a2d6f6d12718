import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { floatTensor } from "../graph/tensor.ts";
import { testPicture } from "../testing/test-picture.ts";
import { maskToTensor, pictureToTensor, resizeNearest, tensorToPictures } from "./picture-tensor.ts";
import { resizePicture } from "./resize.ts";

const checksum = (values: Float32Array) => crc32(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
const ramp = (count: number, value: (index: number) => number) =>
  Float32Array.from({ length: count }, (_, index) => Math.fround(value(index)));

// All checksums are of the bytes that diffusers 0.42 and torch 2.15 give for the same input.
describe("pictureToTensor and tensorToPictures", () => {
  it("normalises as diffusers does", () => {
    const tensor = pictureToTensor(testPicture(16, 8), "minus-one-to-one");
    expect(tensor.shape).toEqual([1, 3, 8, 16]);
    expect(checksum(tensor.data)).toBe(81133854);
  });

  it("rounds as diffusers does, beyond the range too", () => {
    const values = ramp(3 * 40 * 40, (index) => Math.fround(index / 2000) - Math.fround(1.2));
    const [picture] = tensorToPictures(floatTensor(values, [1, 3, 40, 40]), "minus-one-to-one");
    expect(crc32(picture?.data ?? "")).toBe(2666637888);
  });

  it("rounds halves to even", () => {
    const values = ramp(3 * 16 * 16, (index) => Math.min(1, Math.fround((index + 0.5) / 255)));
    const [picture] = tensorToPictures(floatTensor(values, [1, 3, 16, 16]), "zero-to-one");
    expect(crc32(picture?.data ?? "")).toBe(285976572);
  });

  it.each(["minus-one-to-one", "zero-to-one"] as const)("goes there and back in %s, for each picture of a batch", (range) => {
    const pictures = [testPicture(9, 5), { width: 9, height: 5, data: testPicture(9, 5).data.toReversed() }];
    const data = new Float32Array(2 * 135);
    for (const [index, picture] of pictures.entries()) data.set(pictureToTensor(picture, range).data, index * 135);
    expect(tensorToPictures(floatTensor(data, [2, 3, 5, 9]), range)).toEqual(pictures);
  });

  it("refuses NaN", () => {
    const tensor = floatTensor(Float32Array.of(0, Number.NaN, 0), [1, 3, 1, 1]);
    expect(() => tensorToPictures(tensor, "zero-to-one")).toThrow(expect.objectContaining({ code: "numeric" }));
  });
});

describe("masks", () => {
  const mask = maskToTensor(resizePicture(testPicture(40, 24), 48, 32));

  it("are resized, made grey and split as diffusers does", () => {
    expect(mask.shape).toEqual([1, 1, 32, 48]);
    expect(checksum(mask.data)).toBe(2197510288);
  });

  it("split between 127 and 128", () => {
    expect([...maskToTensor({ width: 4, height: 1, data: Uint8Array.of(0, 127, 128, 255) }).data]).toEqual([0, 0, 1, 1]);
  });

  it("shrink and grow to the latents' size as torch's interpolate does", () => {
    expect(checksum(resizeNearest(mask, 7, 11).data)).toBe(3606985534);
    expect(checksum(resizeNearest(mask, 75, 131).data)).toBe(4174028623);
  });
});
