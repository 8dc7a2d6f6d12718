import { encodePng } from "./encode.ts";
import type { MaskPicture, Picture } from "./picture.ts";
import { type PngText, readPngTexts } from "./png-text.ts";

/** What Kiln writes into a PNG: AUTOMATIC1111's text for people and its tools, and the whole request for programs. */
export interface PictureMetadata {
  /** AUTOMATIC1111's infotext, under the keyword `parameters`. */
  readonly parameters?: string;
  /** Plain JSON data, under the keyword `kiln`. */
  readonly kiln?: unknown;
}

/** A picture as PNG with its metadata inside. */
export async function encodePngWithMetadata(picture: Picture | MaskPicture, metadata: PictureMetadata): Promise<Uint8Array> {
  const texts: PngText[] = [];
  if (metadata.parameters !== undefined) texts.push({ keyword: "parameters", text: metadata.parameters });
  if (metadata.kiln !== undefined) texts.push({ keyword: "kiln", text: JSON.stringify(metadata.kiln) });
  return encodePng(picture, texts);
}

/** The metadata of a PNG; empty where there is none, and where the bytes are no PNG. JSON that does not parse is left out. */
export function readPictureMetadata(png: Uint8Array): PictureMetadata {
  const texts = readPngTexts(png);
  const parameters = texts.get("parameters");
  const kiln = parse(texts.get("kiln"));
  return { ...(parameters === undefined ? {} : { parameters }), ...(kiln === undefined ? {} : { kiln }) };
}

function parse(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
