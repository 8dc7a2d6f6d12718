import sharp from "sharp";
import { channelsOf, type MaskPicture, type Picture } from "./picture.ts";
import { addPngTexts, type PngText } from "./png-text.ts";

/** A1111 saves JPEGs at 80, its API's callers expect more; above 95 files grow and nobody sees why. */
export const DEFAULT_JPEG_QUALITY = 95;
export const DEFAULT_WEBP_QUALITY = 90;

/** A picture as PNG, with `texts` as text chunks in front of the pixels. The same picture gives the same bytes. */
export async function encodePng(picture: Picture | MaskPicture, texts: readonly PngText[] = []): Promise<Uint8Array> {
  const png = await raw(picture).png({ compressionLevel: 6 }).toBuffer();
  return addPngTexts(png, texts);
}

/** A picture as JPEG. @param quality 1 to 100 */
export async function encodeJpeg(picture: Picture | MaskPicture, quality = DEFAULT_JPEG_QUALITY): Promise<Uint8Array> {
  return raw(picture).jpeg({ quality }).toBuffer();
}

/** A picture as WebP. @param quality 1 to 100, or "lossless" */
export async function encodeWebp(
  picture: Picture | MaskPicture,
  quality: number | "lossless" = DEFAULT_WEBP_QUALITY,
): Promise<Uint8Array> {
  return raw(picture)
    .webp(quality === "lossless" ? { lossless: true } : { quality })
    .toBuffer();
}

function raw(picture: Picture | MaskPicture) {
  const { width, height, data } = picture;
  const image = sharp(data, { raw: { width, height, channels: channelsOf(picture) } });
  return channelsOf(picture) === 1 ? image.toColourspace("b-w") : image;
}
