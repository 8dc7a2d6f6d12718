import { setImmediate } from "node:timers/promises";
import { boxBlur } from "./box-blur.ts";
import type { MaskPicture, Picture } from "./picture.ts";

/** Standard deviations in pixels, and how often each layer is laid down: wide colours first, the picture itself last. */
const LAYERS: readonly (readonly [sigma: number, times: number])[] = [
  [256, 1],
  [64, 1],
  [16, 2],
  [4, 4],
  [2, 2],
  [0, 1],
];
const CHANNELS = 4;
const ALPHA = 3;

/**
 * Covers what a mask shows with the colours around it, as AUTOMATIC1111's masked content "fill": what is visible is blurred ever less,
 * and the layers lie over one another. Between two layers other work of the process has its turn.
 */
export async function fillMasked(picture: Picture, mask: MaskPicture): Promise<Picture> {
  const { width, height } = picture;
  const area = width * height;
  const visible = { width, height, channels: CHANNELS, data: premultiplied(picture, mask) };
  const out = new Float32Array(area * CHANNELS);
  for (const [sigma, times] of LAYERS) {
    await setImmediate();
    const layer = boxBlur(visible, sigma);
    for (let time = 0; time < times; time++) layOver(out, layer);
  }
  const data = new Uint8Array(area * 3);
  for (let pixel = 0; pixel < area; pixel++) {
    const alpha = out[pixel * CHANNELS + ALPHA] ?? 0;
    for (let channel = 0; channel < 3; channel++) {
      const value = alpha > 0 ? ((out[pixel * CHANNELS + channel] ?? 0) * 255) / alpha : 0;
      data[pixel * 3 + channel] = Math.min(255, Math.round(value));
    }
  }
  return { width, height, data };
}

/** RGB times opacity, and the opacity: what the mask covers is transparent. */
function premultiplied({ data }: Picture, { data: mask }: MaskPicture): Uint8Array {
  const out = new Uint8Array(mask.length * CHANNELS);
  for (let pixel = 0; pixel < mask.length; pixel++) {
    const alpha = 255 - (mask[pixel] ?? 0);
    for (let channel = 0; channel < 3; channel++) {
      out[pixel * CHANNELS + channel] = Math.round(((data[pixel * 3 + channel] ?? 0) * alpha) / 255);
    }
    out[pixel * CHANNELS + ALPHA] = alpha;
  }
  return out;
}

function layOver(under: Float32Array, layer: Uint8Array): void {
  for (let i = 0; i < under.length; i++) {
    const alpha = layer[i - (i % CHANNELS) + ALPHA] ?? 0;
    under[i] = (layer[i] ?? 0) + ((under[i] ?? 0) * (255 - alpha)) / 255;
  }
}
