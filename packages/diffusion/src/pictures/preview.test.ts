import { describe, expect, it } from "vitest";
import { previewPicture } from "./preview.ts";

describe("previewPicture", () => {
  it("maps each latent pixel linearly to a colour and stays in range", () => {
    const latents = Float32Array.of(0, 1, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    expect([...previewPicture(latents, 1, 3, "sdxl").data]).toEqual([
      ...[0.1084, -0.0175, -0.0011].map((value) => Math.round(((value + 1) / 2) * 255)),
      ...[0.4735, 0.4057, 0.433].map((value) => Math.round(((value + 1) / 2) * 255)),
      255,
      255,
      255,
    ]);
    expect([...previewPicture(new Float32Array(4).fill(Number.NaN), 1, 1, "sd15").data]).toEqual([0, 0, 0]);
  });

  it("takes the map that a VAE brings with it", () => {
    const map = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, -1, -1, 0];
    expect([...previewPicture(Float32Array.of(2, 1, 0.5, 9), 1, 1, map).data]).toEqual([255, 128, 191]);
  });

  it("refuses latents of another shape, which is a bug", () => {
    expect(() => previewPicture(new Float32Array(5), 1, 1, "sd15")).toThrow(RangeError);
  });
});
