import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { testMask, testPicture } from "../testing/test-picture.ts";
import { resizeLanczos } from "./lanczos.ts";
import { MAX_PICTURE_PIXELS, type Picture, toGrey } from "./picture.ts";
import { resizePicture } from "./resize.ts";

// All checksums are of Pillow 13.0's and diffusers 0.42's bytes for the same picture.
describe("resizeLanczos", () => {
  it.each([
    [64, 48, 3, 32, 24, 462929651],
    [64, 48, 3, 100, 77, 2817406428],
    [33, 21, 3, 64, 64, 3616651887],
    [57, 91, 3, 57, 40, 741512373],
    [57, 91, 3, 20, 91, 1120445745],
    [200, 150, 3, 8, 8, 1282340667],
    [7, 5, 3, 64, 64, 1133013786],
    [1, 1, 3, 9, 4, 3091433667],
    [300, 3, 1, 11, 40, 2948178367],
    [128, 128, 1, 96, 160, 4165730496],
    [40, 40, 3, 1, 1, 1986644742],
    [3000, 2, 3, 17, 2, 357483160],
  ])("gives Pillow's bytes for %i×%i in %i channels to %i×%i", (width, height, channels, newWidth, newHeight, checksum) => {
    const picture = channels === 3 ? testPicture(width, height) : testMask(width, height);
    const resized = resizeLanczos(picture, newWidth, newHeight);
    expect(resized).toMatchObject({ width: newWidth, height: newHeight });
    expect(crc32(resized.data)).toBe(checksum);
  });

  it("copies a picture of the right size", () => {
    const picture = testPicture(4, 4);
    const same = resizeLanczos(picture, 4, 4);
    expect(same.data).toEqual(picture.data);
    expect(same.data).not.toBe(picture.data);
  });

  it.each([
    [0, 8],
    [8, -1],
    [1.5, 8],
    [MAX_PICTURE_PIXELS, 2],
  ])("refuses the size %d×%d", (width, height) => {
    expect(() => resizeLanczos(testPicture(4, 4), width, height)).toThrow(expect.objectContaining({ code: "picture_invalid" }));
  });
});

describe("resizePicture", () => {
  it.each([
    [64, 48, 40, 40, 720918931],
    [48, 64, 40, 40, 216147932],
    [33, 21, 64, 40, 856561433],
    [20, 50, 64, 64, 4006473235],
    [100, 31, 16, 24, 4206897776],
  ])("covers as diffusers does: %i×%i to %i×%i", (width, height, newWidth, newHeight, checksum) => {
    expect(crc32(resizePicture(testPicture(width, height), newWidth, newHeight, "cover").data)).toBe(checksum);
  });

  it("contains the whole picture between black bars", () => {
    const white: Picture = { width: 4, height: 2, data: new Uint8Array(24).fill(255) };
    const { data } = resizePicture(white, 4, 4, "contain");
    const rows = [0, 1, 2, 3].map((row) => [...new Set(data.subarray(row * 12, row * 12 + 12))]);
    expect(rows).toEqual([[0], [255], [255], [0]]);
    expect(resizePicture({ width: 2, height: 4, data: white.data }, 4, 4, "contain").data[0]).toBe(0);
  });
});

describe("toGrey", () => {
  it("gives Pillow's luma", () => {
    expect(crc32(toGrey(testPicture(61, 47)).data)).toBe(2940440282);
  });
});

describe("a whole picture with its edges repeated", () => {
  const reds = ({ data, width }: { data: Uint8Array; width: number }) =>
    Array.from({ length: data.length / 3 / width }, (_, y) => Array.from({ length: width }, (_, x) => data[(y * width + x) * 3]));
  const picture = testPicture(6, 7);

  it("above and below", () => {
    const middle = reds(resizeLanczos(picture, 4, 4));
    const [first, , , last] = middle;
    expect(reds(resizePicture(picture, 4, 8, "extend"))).toEqual([first, first, ...middle, last, last]);
  });

  it("on both sides, also where one of them is a pixel wider", () => {
    const found = reds(resizePicture(picture, 9, 3, "extend"));
    expect(found).toEqual(
      reds(resizeLanczos(picture, 2, 3)).map(([left, right]) => [left, left, left, left, right, right, right, right, right]),
    );
  });
});
