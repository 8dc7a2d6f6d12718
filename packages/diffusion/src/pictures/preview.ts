import type { Picture } from "./picture.ts";

/** The latent spaces for which a linear map to colours is known. */
export type LatentSpace = "sdxl" | "sd15";

interface ColourMap {
  /** Red, green and blue of each of the four latent channels. */
  readonly factors: readonly (readonly [number, number, number])[];
  readonly bias: readonly [number, number, number];
}

/** Least-squares fits of VAE outputs to latents, as published in ComfyUI (`comfy/latent_formats.py`). */
const COLOUR_MAPS: Readonly<Record<LatentSpace, ColourMap>> = {
  sdxl: {
    factors: [
      [0.3651, 0.4232, 0.4341],
      [-0.2533, -0.0042, 0.1068],
      [0.1076, 0.1111, -0.0362],
      [-0.3165, -0.2492, -0.2188],
    ],
    bias: [0.1084, -0.0175, -0.0011],
  },
  sd15: {
    factors: [
      [0.3512, 0.2297, 0.3227],
      [0.325, 0.4974, 0.235],
      [-0.2829, 0.1762, 0.2721],
      [-0.212, -0.2616, -0.7177],
    ],
    bias: [0, 0, 0],
  },
};

/** The map of a VAE that brings its own (`latentRgb` in its config). */
function colourMap(numbers: readonly number[]): ColourMap {
  const colour = (row: number) => [numbers[3 * row] ?? 0, numbers[3 * row + 1] ?? 0, numbers[3 * row + 2] ?? 0] as const;
  return { factors: [colour(0), colour(1), colour(2), colour(3)], bias: colour(4) };
}

/**
 * A rough picture of latents without a VAE: each pixel is a linear map of its four numbers. Not a number becomes black,
 * for a preview must not stop a picture.
 *
 * @param latents [4, height, width] as the UNet sees them (scaled), of the predicted x0 or of the sample itself
 * @param space a family whose map is known, or 15 numbers: red, green and blue of each of the four channels, then of none
 * @returns a picture of the latents' size, an eighth of the final one's
 */
export function previewPicture(
  latents: Float32Array,
  height: number,
  width: number,
  space: LatentSpace | readonly number[],
): Picture {
  const area = height * width;
  if (latents.length !== area * 4) throw new RangeError(`${latents.length} numbers do not fill [4, ${height}, ${width}]`);
  const { factors, bias } = typeof space === "string" ? COLOUR_MAPS[space] : colourMap(space);
  const data = new Uint8ClampedArray(area * 3);
  for (let pixel = 0; pixel < area; pixel++) {
    for (const channel of [0, 1, 2] as const) {
      let value = bias[channel];
      for (const [index, factor] of factors.entries()) value += (latents[index * area + pixel] ?? 0) * factor[channel];
      data[pixel * 3 + channel] = ((value + 1) / 2) * 255;
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}
