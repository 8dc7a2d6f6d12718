import { describe, expect, it } from "vitest";
import { drawnPart, hiresSize } from "./hires-size.ts";

describe("sizes of hires fix", () => {
  it("rounds a scale to multiples of 8 and cuts nothing", () => {
    const size = hiresSize({ width: 832, height: 1216 }, { scale: 1.3 });
    expect(size).toEqual({ drawn: { width: 1080, height: 1584 }, enlarged: { width: 1080, height: 1584 } });
    expect(drawnPart(size)).toEqual({ left: 0, top: 0, width: 135, height: 198 });
    expect(hiresSize({ width: 512, height: 512 }, {}).drawn).toEqual({ width: 768, height: 768 });
  });

  // Computed with AUTOMATIC1111's formulas and torch's slices: first size, wanted size, enlarged size, and the left and top latent of the part.
  it.each([
    [512, 512, 768, 1024, 1024, 1024, 16, 0],
    [512, 512, 1024, 768, 1024, 1024, 0, 16],
    [832, 1216, 1024, 1024, 1024, 1496, 0, 29],
    [512, 768, 1000, 504, 1000, 1500, 0, 62],
    [1024, 1024, 1536, 1528, 1536, 1536, 0, 0],
    [512, 512, 1024, 1024, 1024, 1024, 0, 0],
    [640, 360, 1280, 1280, 2275, 1280, 62, 0],
    [64, 64, 96, 120, 120, 120, 1, 0],
    [88, 64, 120, 96, 132, 96, 0, 0],
  ])("fills another shape: %ix%i to %ix%i", (width, height, toWidth, toHeight, enlargedWidth, enlargedHeight, left, top) => {
    const size = hiresSize({ width, height }, { scale: 4, size: { width: toWidth, height: toHeight } });
    const drawn = { width: toWidth, height: toHeight };
    expect(size).toEqual({ drawn, enlarged: { width: enlargedWidth, height: enlargedHeight } });
    expect(drawnPart(size)).toEqual({ left, top, width: toWidth / 8, height: toHeight / 8 });
  });
});
