import { PIXELS_PER_LATENT } from "../latent-size.ts";
import type { Region } from "../pictures/paste.ts";
import type { HiresRequest } from "./request.ts";

/** In pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** How large the second pass of hires fix is. */
export interface HiresSize {
  /** What is drawn, in multiples of 8. */
  readonly drawn: Size;
  /** To what the first picture is enlarged in its own shape. It covers what is drawn, and what hangs over is cut. */
  readonly enlarged: Size;
}

const HIRES_SCALE = 1.5;

/** Sizes of the second pass over a first picture; a size of another shape is filled and cut as AUTOMATIC1111's `calculate_target_resolution` does. */
export function hiresSize({ width, height }: Size, { scale = HIRES_SCALE, size }: HiresRequest): HiresSize {
  if (!size) {
    const whole = (side: number): number => Math.round((side * scale) / PIXELS_PER_LATENT) * PIXELS_PER_LATENT;
    const drawn = { width: whole(width), height: whole(height) };
    return { drawn, enlarged: drawn };
  }
  const enlarged =
    width / height < size.width / size.height
      ? { width: size.width, height: Math.floor((size.width * height) / width) }
      : { width: Math.floor((size.height * width) / height), height: size.height };
  return { drawn: size, enlarged };
}

/** The part of the enlarged picture that is drawn, in latents: of an odd overhang the smaller half is cut at the left and at the top. */
export function drawnPart({ drawn, enlarged }: HiresSize): Region {
  const overhang = (side: "width" | "height"): number => Math.floor((enlarged[side] - drawn[side]) / PIXELS_PER_LATENT);
  return {
    left: Math.floor(overhang("width") / 2),
    top: Math.floor(overhang("height") / 2),
    width: drawn.width / PIXELS_PER_LATENT,
    height: drawn.height / PIXELS_PER_LATENT,
  };
}
