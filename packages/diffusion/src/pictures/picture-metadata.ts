import sharp from "sharp";
import { pictureFormat } from "./decode.ts";
import { encodeJpeg, encodePng, encodeWebp } from "./encode.ts";
import { readExifComment } from "./exif-comment.ts";
import { MAX_PICTURE_PIXELS, type MaskPicture, type Picture } from "./picture.ts";
import { type PngText, readPngTexts } from "./png-text.ts";

/** What Kiln writes into a picture: AUTOMATIC1111's text for people and its tools, and the whole request for programs. */
export interface PictureMetadata {
  /** AUTOMATIC1111's infotext: under the keyword `parameters` in a PNG, as Exif user comment in JPEG and WebP. */
  readonly parameters?: string;
  /** Plain JSON data, under the keyword `kiln` in a PNG; JPEG and WebP have no place for it. */
  readonly kiln?: unknown;
}

/** How a picture becomes a file. Quality is 1 to 100. */
export type PictureEncoding =
  | { readonly format: "png" }
  | { readonly format: "jpeg"; readonly quality?: number }
  | { readonly format: "webp"; readonly quality?: number | "lossless" };

/** A picture as a file with its metadata inside. */
export async function encodePicture(
  picture: Picture | MaskPicture,
  encoding: PictureEncoding,
  metadata: PictureMetadata = {},
): Promise<Uint8Array> {
  const { parameters } = metadata;
  if (encoding.format === "jpeg") return encodeJpeg(picture, encoding.quality, parameters);
  if (encoding.format === "webp") return encodeWebp(picture, encoding.quality, parameters);
  return encodePngWithMetadata(picture, metadata);
}

/** A picture as PNG with its metadata inside. */
export async function encodePngWithMetadata(picture: Picture | MaskPicture, metadata: PictureMetadata): Promise<Uint8Array> {
  const texts: PngText[] = [];
  if (metadata.parameters !== undefined) texts.push({ keyword: "parameters", text: metadata.parameters });
  if (metadata.kiln !== undefined) texts.push({ keyword: "kiln", text: JSON.stringify(metadata.kiln) });
  return encodePng(picture, texts);
}

/**
 * The metadata of a PNG, JPEG or WebP; empty where there is none and where the bytes are no such picture. JSON that
 * does not parse is left out.
 */
export async function readPictureMetadata(bytes: Uint8Array): Promise<PictureMetadata> {
  const format = pictureFormat(bytes);
  if (format === undefined) return {};
  const texts = format === "png" ? readPngTexts(bytes) : new Map<string, string>();
  const parameters = texts.get("parameters") ?? (await exifComment(bytes));
  const kiln = parse(texts.get("kiln"));
  return { ...(parameters === undefined ? {} : { parameters }), ...(kiln === undefined ? {} : { kiln }) };
}

async function exifComment(bytes: Uint8Array): Promise<string | undefined> {
  try {
    const { exif } = await sharp(bytes, { limitInputPixels: MAX_PICTURE_PIXELS }).metadata();
    return exif === undefined ? undefined : readExifComment(exif);
  } catch {
    return undefined;
  }
}

function parse(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
