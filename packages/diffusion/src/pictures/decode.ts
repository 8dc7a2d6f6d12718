import { open } from "node:fs/promises";
import sharp from "sharp";
import { KilnError } from "../errors.ts";
import { checkPictureSize, MAX_PICTURE_PIXELS, type MaskPicture, type Picture, toGrey } from "./picture.ts";

/** A 64-million-pixel PNG of a photo is about this large; larger files are refused before they are decoded. */
export const MAX_PICTURE_FILE_BYTES = 128 * 1024 * 1024;

export type PictureFormat = "png" | "jpeg" | "webp";

/** A picture and, where its file has one, its alpha channel. Colours are those of the file, not laid over anything. */
export interface DecodedPicture {
  readonly picture: Picture;
  readonly alpha: MaskPicture | undefined;
}

/** Which of the three formats the bytes begin like, or undefined for everything else. */
export function pictureFormat(bytes: Uint8Array): PictureFormat | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 12)).toString("latin1");
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (text.startsWith("\xff\xd8\xff")) return "jpeg";
  return text.startsWith("RIFF") && text.endsWith("WEBP") ? "webp" : undefined;
}

/**
 * Decodes a PNG, JPEG or WebP (of an animation, the first picture), turned upright by its EXIF orientation. Colour
 * profiles are ignored and transparency is dropped, as Pillow does for diffusers.
 *
 * @param source the file's bytes, or its path
 * @param subject what an error calls it: the request's field or the file
 * @throws KilnError `file_not_found` for a path that cannot be read; `picture_invalid` for another format, a file or a
 *   picture that is too large, and damaged or cut bytes.
 */
export async function decodePicture(source: string | Uint8Array, subject?: string): Promise<Picture> {
  return (await decodePictureWithAlpha(source, subject)).picture;
}

/** Decodes a picture as a mask: its luma. Errors as for `decodePicture`. */
export async function decodeMask(source: string | Uint8Array, subject?: string): Promise<MaskPicture> {
  return toGrey(await decodePicture(source, subject));
}

/** Decodes a picture and its alpha channel. Errors as for `decodePicture`. */
export async function decodePictureWithAlpha(source: string | Uint8Array, subject?: string): Promise<DecodedPicture> {
  const name = subject ?? (typeof source === "string" ? source : "The picture");
  const bytes = typeof source === "string" ? await readPictureFile(source, name) : source;
  checkFileSize(bytes.length, name);
  // The format is found here, so that none of the library's other readers (SVG, PDF, TIFF ...) ever sees a stranger's bytes.
  if (pictureFormat(bytes) === undefined) throw invalid(name, "is not a PNG, JPEG or WebP; convert it to one of them");
  try {
    return await decode(bytes, name);
  } catch (cause) {
    if (cause instanceof KilnError) throw cause;
    throw invalid(name, "cannot be decoded because it is damaged or cut; send it again", cause);
  }
}

async function decode(bytes: Uint8Array, name: string): Promise<DecodedPicture> {
  const image = sharp(bytes, { limitInputPixels: MAX_PICTURE_PIXELS, failOn: "error", pages: 1, ignoreIcc: true });
  const { width, height, hasAlpha } = await image.metadata().catch((cause: unknown) => {
    const tooLarge = cause instanceof Error && cause.message.includes("pixel limit");
    throw invalid(
      name,
      tooLarge ? `has more than ${MAX_PICTURE_PIXELS} pixels; make it smaller` : "has a damaged header; send it again",
      cause,
    );
  });
  checkPictureSize(width, height, name);
  const upright = image.autoOrient().toColourspace("srgb");
  const { data: buffer, info } = await (hasAlpha ? upright.ensureAlpha() : upright.removeAlpha())
    .raw()
    .toBuffer({ resolveWithObject: true });
  // A plain array: a Buffer's slice() would share its memory.
  const data = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  const size = { width: info.width, height: info.height };
  if (info.channels === 3) return { picture: { ...size, data }, alpha: undefined };
  if (info.channels !== 4) throw invalid(name, `has ${info.channels} channels; convert it to RGB`);
  return splitAlpha(data, size);
}

function splitAlpha(rgba: Uint8Array, size: { readonly width: number; readonly height: number }): DecodedPicture {
  const count = size.width * size.height;
  const data = new Uint8Array(count * 3);
  const alpha = new Uint8Array(count);
  for (let pixel = 0; pixel < count; pixel++) {
    data[pixel * 3] = rgba[pixel * 4] ?? 0;
    data[pixel * 3 + 1] = rgba[pixel * 4 + 1] ?? 0;
    data[pixel * 3 + 2] = rgba[pixel * 4 + 2] ?? 0;
    alpha[pixel] = rgba[pixel * 4 + 3] ?? 0;
  }
  return { picture: { ...size, data }, alpha: { ...size, data: alpha } };
}

async function readPictureFile(path: string, name: string): Promise<Uint8Array> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      checkFileSize(size, name);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof KilnError) throw cause;
    throw new KilnError("file_not_found", `The picture ${path} cannot be read; check its path and permissions.`, {
      subject: name,
      cause,
    });
  }
}

function checkFileSize(size: number, name: string): void {
  if (size > MAX_PICTURE_FILE_BYTES)
    throw invalid(name, `has ${size} bytes, over the limit of ${MAX_PICTURE_FILE_BYTES}; make it smaller`);
}

function invalid(name: string, fault: string, cause?: unknown): KilnError {
  return new KilnError("picture_invalid", `${name} ${fault}.`, { subject: name, cause });
}
