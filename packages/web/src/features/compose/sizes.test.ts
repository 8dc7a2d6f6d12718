import { describe, expect, it } from "vitest";
import { clampSide, sizeOfRatio, sizePresets } from "./sizes.ts";

describe("sizePresets", () => {
  it("gives SDXL's own buckets for SDXL's own size", () => {
    const sizes = sizePresets({ width: 1024, height: 1024 }).map(({ width, height }) => `${width}x${height}`);
    expect(sizes).toEqual(["768x1344", "896x1152", "1024x1024", "1152x896", "1344x768"]);
  });

  it.each([256, 512, 768, 1024])("stays within the area of a %i model, in sides that are accepted", (side) => {
    const presets = sizePresets({ width: side, height: side });
    expect(new Set(presets.map(({ width, height }) => `${width}x${height}`)).size).toBe(5);
    for (const { width, height } of presets) {
      expect(width % 8).toBe(0);
      expect(height % 8).toBe(0);
      expect(width * height).toBeLessThanOrEqual(side * side);
      expect(width * height).toBeGreaterThan(0.85 * side * side);
    }
  });
});

describe("sizeOfRatio", () => {
  it("keeps extreme shapes within the service's limits", () => {
    expect(sizeOfRatio({ width: 1024, height: 1024 }, 100)).toEqual({ width: 2048, height: 128 });
    expect(sizeOfRatio({ width: 256, height: 256 }, 1 / 100)).toEqual({ width: 64, height: 1024 });
  });
});

describe("clampSide", () => {
  it("brings any side to one that is accepted", () => {
    expect([0, 63, 100, 1001, 9999].map(clampSide)).toEqual([64, 64, 104, 1000, 2048]);
  });
});
