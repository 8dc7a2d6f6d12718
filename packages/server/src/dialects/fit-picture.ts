import sharp, { type Sharp } from "sharp";
import { ServiceError } from "../errors.ts";
import { MAX_INPUT_PIXELS } from "../jobs/limits.ts";
import { inspectPicture } from "../jobs/pictures-in.ts";

/** How a picture comes to a size of another shape: cut at the edges, whole on black, whole with its edges repeated, or distorted. */
export type Fit = "cover" | "contain" | "extend" | "fill";

/** A picture of a form or of base64 whose header has been looked at: upright, and small enough to be decoded. */
function open(bytes: Uint8Array) {
  return sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: "error" }).autoOrient();
}

/** Brings a picture to a size. Raises `picture_invalid`, which names the field. */
export async function fitPicture(bytes: Uint8Array, width: number, height: number, fit: Fit, field: string): Promise<Buffer> {
  const resized = async () => {
    const size = { width, height };
    const picture = fit === "extend" ? await extended(bytes, size) : open(bytes).resize({ ...size, fit, background: "#000" });
    return await picture.png({ compressionLevel: 1 }).toBuffer();
  };
  return await decoded(resized, bytes, field);
}

async function extended(bytes: Uint8Array, { width, height }: { width: number; height: number }): Promise<Sharp> {
  const { autoOrient: own } = await open(bytes).metadata();
  const scale = Math.min(width / own.width, height / own.height);
  const inner = {
    width: Math.min(width, Math.max(1, Math.round(own.width * scale))),
    height: Math.min(height, Math.max(1, Math.round(own.height * scale))),
  };
  const [left, top] = [Math.floor((width - inner.width) / 2), Math.floor((height - inner.height) / 2)];
  return open(bytes)
    .resize({ ...inner, fit: "fill" })
    .extend({ left, top, right: width - inner.width - left, bottom: height - inner.height - top, extendWith: "copy" });
}

/** The picture upright and without transparency; the very bytes where it is so already. Raises `picture_invalid`. */
export async function opaquePicture(bytes: Uint8Array, background: string, field: string): Promise<Uint8Array> {
  const opaque = async () => {
    const { hasAlpha, orientation = 1 } = await open(bytes).metadata();
    if (!hasAlpha && orientation === 1) return bytes;
    return await open(bytes).flatten({ background }).png({ compressionLevel: 1 }).toBuffer();
  };
  return await decoded(opaque, bytes, field);
}

/**
 * A mask in which what is to be painted anew is white, from one in which it is transparent; a mask without
 * transparency is taken as it is. Undefined where `required` is false and nothing is transparent.
 */
export async function maskFromAlpha(bytes: Uint8Array, required: boolean, field: string): Promise<Uint8Array | undefined> {
  const find = async () => {
    const { hasAlpha } = await open(bytes).metadata();
    if (!hasAlpha) return required ? bytes : undefined;
    const alpha = await open(bytes).extractChannel(3).png({ compressionLevel: 1 }).toBuffer();
    if (!required && !(await isTransparent(alpha))) return undefined;
    return await sharp(alpha).negate().toColourspace("b-w").png({ compressionLevel: 1 }).toBuffer();
  };
  return await decoded(find, bytes, field);
}

/** Whether an alpha channel, as a picture of its own, says anything: somewhere it is not opaque. */
export async function isTransparent(alpha: Uint8Array): Promise<boolean> {
  return ((await sharp(alpha).stats()).channels[0]?.min ?? 255) < 255;
}

async function decoded<T>(work: () => Promise<T>, bytes: Uint8Array, field: string): Promise<T> {
  await inspectPicture(bytes, field);
  try {
    return await work();
  } catch (error) {
    throw new ServiceError("picture_invalid", `${field} is damaged or cut; send it again.`, { field, cause: error });
  }
}
