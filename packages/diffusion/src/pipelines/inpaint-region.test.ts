import { expect, test } from "vitest";
import { maskedRegion } from "./inpaint-region.ts";

function maskOf(width: number, height: number, [x, y, wide, high]: readonly [number, number, number, number]) {
  const data = new Uint8Array(width * height);
  for (let row = y; row < y + high; row++) data.fill(1, row * width + x, row * width + x + wide);
  return { width, height, data };
}

// The regions are those of AUTOMATIC1111's formulas, computed apart.
test.each([
  { of: [100, 80], box: [40, 30, 10, 5], padding: 4, drawn: [64, 64], region: [36, 24, 54, 42] },
  { of: [100, 80], box: [90, 2, 10, 40], padding: 8, drawn: [64, 64], region: [50, 0, 100, 50] },
  { of: [100, 80], box: [0, 70, 60, 10], padding: 0, drawn: [64, 128], region: [0, 0, 60, 80] },
  { of: [100, 80], box: [10, 10, 80, 3], padding: 5, drawn: [128, 64], region: [5, 0, 95, 45] },
  { of: [40, 80], box: [5, 60, 9, 9], padding: 3, drawn: [128, 64], region: [0, 57, 30, 72] },
] as const)("the region of $box of $of, drawn at $drawn", ({ of, box, padding, drawn, region }) => {
  const [left, top, right, bottom] = region;
  expect(maskedRegion(maskOf(of[0], of[1], box), padding, { width: drawn[0], height: drawn[1] })).toEqual({
    left,
    top,
    width: right - left,
    height: bottom - top,
  });
});

test("a black mask has no region", () => {
  expect(maskedRegion(maskOf(8, 8, [0, 0, 0, 0]), 32, { width: 64, height: 64 })).toBeUndefined();
});
