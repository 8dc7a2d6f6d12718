import { expect, test } from "vitest";
import { boxBlur } from "./box-blur.ts";
import { fillMasked } from "./fill-masked.ts";
import { gaussianBlur } from "./gaussian-blur.ts";

const PICTURE = { width: 6, height: 7, data: Uint8Array.from({ length: 126 }, (_, i) => (i * 37 + 11) % 256) };

/** A mask with rectangles of one value each. */
function maskOf(width: number, height: number, ...boxes: [x: number, y: number, wide: number, high: number, value: number][]) {
  const data = new Uint8Array(width * height);
  for (const [x, y, wide, high, value] of boxes) {
    for (let row = y; row < y + high; row++) data.fill(value, row * width + x, row * width + x + wide);
  }
  return { width, height, data };
}

function furthest(found: Uint8Array, expected: readonly number[]): number {
  return Math.max(...expected.map((value, i) => Math.abs(value - (found[i] ?? Number.NaN))));
}

test("a mask is blurred with the kernel of 2 trunc(2.5 sigma + 0.5) + 1, mirrored at its edges", () => {
  const blurred = gaussianBlur(maskOf(9, 5, [3, 1, 3, 2, 255], [8, 4, 1, 1, 200]), 1.2, 0.8);
  // numpy, with np.pad(mode="reflect").
  const expected = [
    4, 13, 43, 83, 103, 83, 43, 13, 4, 5, 19, 64, 124, 154, 124, 64, 19, 5, 5, 18, 62, 121, 149, 121, 62, 19, 7, 2, 6, 21, 42, 51,
    42, 25, 17, 17, 0, 1, 4, 7, 9, 9, 12, 25, 34,
  ];
  expect(blurred.data).toEqual(Uint8Array.from(expected));
  const mask = maskOf(9, 5, [3, 1, 3, 2, 255]);
  expect(gaussianBlur(mask, 0, 0).data).toEqual(mask.data);
});

test.each([
  [
    0.7,
    [
      56, 90, 127, 111, 111, 148, 172, 75, 108, 144, 116, 117, 152, 174, 76, 103, 138, 98, 109, 146, 180, 91, 116, 152, 132, 111,
      143, 171, 93, 118, 154, 135, 112, 156, 181, 83, 112, 147, 149, 117, 149, 170, 100, 123, 131, 140, 121, 146, 171, 102, 126,
      125, 131, 131, 158, 186, 96, 130, 138, 117,
    ],
  ],
  [
    2,
    [
      109, 117, 135, 116, 118, 131, 124, 120, 125, 130, 125, 119, 132, 130, 114, 131, 135, 110, 113, 122, 134, 118, 122, 130, 125,
      123, 125, 129, 126, 121, 130, 130, 116, 129, 134, 114, 118, 128, 132, 122, 127, 129, 126, 127, 125, 128, 128, 121, 128, 131,
      119, 127, 134, 117, 122, 131, 132, 125, 130, 128,
    ],
  ],
  [16, [114, 143, 122, 114, 143, 122, 114, 143, 122, 114, 144, 122, 114, 144, 122, 114, 144, 122]],
])("boxes blur with a deviation of %d as Pillow's GaussianBlur does", (sigma, expected) => {
  expect(furthest(boxBlur({ ...PICTURE, channels: 3 }, sigma), expected)).toBe(0);
});

test("what a mask covers is filled with the colours around it, as A1111 does with Pillow", async () => {
  const filled = await fillMasked(PICTURE, maskOf(6, 7, [2, 2, 3, 3, 255], [2, 1, 1, 1, 128]));
  const expected = [
    11, 48, 85, 122, 159, 196, 233, 14, 51, 88, 125, 162, 199, 236, 17, 54, 91, 128, 165, 202, 239, 20, 57, 94, 127, 144, 164,
    242, 23, 60, 97, 134, 171, 208, 245, 26, 63, 100, 137, 174, 211, 248, 126, 124, 127, 128, 126, 122, 127, 133, 117, 106, 143,
    180, 217, 254, 35, 72, 109, 146, 129, 125, 128, 130, 129, 124, 129, 133, 121, 4, 41, 78, 115, 152, 189, 226, 7, 44, 132, 127,
    131, 134, 131, 125, 134, 135, 120, 158, 195, 232, 13, 50, 87, 124, 161, 198, 235, 16, 53, 90, 127, 164, 201, 238, 19, 56, 93,
    130, 167, 204, 241, 22, 59, 96, 133, 170, 207, 244, 25, 62, 99, 136, 173, 210, 247, 28,
  ];
  expect(filled.data).toHaveLength(expected.length);
  // Pillow rounds every layer to bytes.
  expect(furthest(filled.data, expected)).toBeLessThanOrEqual(2);
});
