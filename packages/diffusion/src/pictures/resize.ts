import { resizeLanczos } from "./lanczos.ts";
import { crop } from "./paste.ts";
import { channelsOf, checkPictureSize, type MaskPicture, type Picture } from "./picture.ts";

/**
 * What to do when the shapes differ: `stretch` to the new shape; `cover` the new size and cut what hangs over, equally
 * on both sides; `contain` the whole picture with black bars; `extend` it with its own edges repeated in their place.
 */
export type ResizeMode = "stretch" | "cover" | "contain" | "extend";

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Resizes with Pillow's Lanczos. `stretch` and `cover` give the bytes of diffusers' VaeImageProcessor ("default", "crop").
 * @throws KilnError `picture_invalid` where the new size is no picture's.
 */
export function resizePicture<T extends Picture | MaskPicture>(
  picture: T,
  width: number,
  height: number,
  mode: ResizeMode = "stretch",
) {
  checkPictureSize(width, height, "The new size");
  if (mode === "stretch") return resizeLanczos(picture, width, height);
  const inner = innerSize(picture, { width, height }, mode);
  checkPictureSize(inner.width, inner.height, "The resized picture");
  const left = Math.floor(width / 2) - Math.floor(inner.width / 2);
  const top = Math.floor(height / 2) - Math.floor(inner.height / 2);
  const resized = resizeLanczos(picture, inner.width, inner.height);
  return mode === "extend"
    ? extend(resized, { width, height }, left, top)
    : crop(resized, { left: -left, top: -top, width, height });
}

function innerSize(picture: Size, size: Size, mode: Exclude<ResizeMode, "stretch">): Size {
  const wider = size.width / size.height > picture.width / picture.height;
  const byWidth = { width: size.width, height: Math.max(1, Math.floor((picture.height * size.width) / picture.width)) };
  const byHeight = { width: Math.max(1, Math.floor((picture.width * size.height) / picture.height)), height: size.height };
  return wider === (mode === "cover") ? byWidth : byHeight;
}

/** The picture with its corner at (left, top) of `size`; every pixel beyond it is the nearest one of its edge. */
function extend(picture: Picture | MaskPicture, size: Size, left: number, top: number) {
  const channels = channelsOf(picture);
  const data = new Uint8Array(size.width * size.height * channels);
  const nearest = (place: number, length: number) => Math.min(length - 1, Math.max(0, place));
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const from = (nearest(y - top, picture.height) * picture.width + nearest(x - left, picture.width)) * channels;
      data.set(picture.data.subarray(from, from + channels), (y * size.width + x) * channels);
    }
  }
  return { width: size.width, height: size.height, data };
}
