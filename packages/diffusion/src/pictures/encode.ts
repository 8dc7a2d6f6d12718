import sharp from "sharp";
import { exifWithComment } from "./exif-comment.ts";
import { addExifToJpeg, addExifToWebp } from "./exif-container.ts";
import { channelsOf, type MaskPicture, type Picture } from "./picture.ts";
import { addPngTexts, type PngText } from "./png-text.ts";

/** A1111 saves JPEGs at 80, its API's callers expect more; above 95 files grow and nobody sees why. */
const DEFAULT_JPEG_QUALITY = 95;
const DEFAULT_WEBP_QUALITY = 90;

/** A picture as PNG, with `texts` as text chunks in front of the pixels. The same picture gives the same bytes. */
export async function encodePng(picture: Picture | MaskPicture, texts: readonly PngText[] = []): Promise<Uint8Array> {
  const png = await raw(picture).png({ compressionLevel: 6 }).toBuffer();
  return addPngTexts(png, texts);
}

/**
 * A picture as JPEG.
 * @param quality 1 to 100
 * @param comment an Exif user comment
 */
export async function encodeJpeg(
  picture: Picture | MaskPicture,
  quality = DEFAULT_JPEG_QUALITY,
  comment?: string,
): Promise<Uint8Array> {
  const jpeg = await raw(picture).jpeg({ quality }).toBuffer();
  return comment === undefined ? jpeg : addExifToJpeg(jpeg, exifWithComment(comment));
}

/**
 * A picture as WebP.
 * @param quality 1 to 100, or "lossless"
 * @param comment an Exif user comment
 */
export async function encodeWebp(
  picture: Picture | MaskPicture,
  quality: number | "lossless" = DEFAULT_WEBP_QUALITY,
  comment?: string,
): Promise<Uint8Array> {
  const webp = await raw(picture)
    .webp(quality === "lossless" ? { lossless: true } : { quality })
    .toBuffer();
  return comment === undefined ? webp : addExifToWebp(webp, exifWithComment(comment), picture);
}

function raw(picture: Picture | MaskPicture) {
  const { width, height, data } = picture;
  const image = sharp(data, { raw: { width, height, channels: channelsOf(picture) } });
  return channelsOf(picture) === 1 ? image.toColourspace("b-w") : image;
}
