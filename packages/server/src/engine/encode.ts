import { encodePicture as encodeFile } from "@kiln/diffusion";
import sharp from "sharp";
import { infotextOf } from "../jobs/infotext.ts";
import type { CompleteRequest } from "../jobs/request.ts";
import type { DrawnPicture } from "./picture-engine.ts";
import type { EncodedPicture } from "./protocol.ts";

/** B's contract: thumbnails lie inside 300 x 300, as JPEG of quality 85. */
const THUMBNAIL_SIDE = 300;
const THUMBNAIL_QUALITY = 85;
const DEFAULT_QUALITY = 95;

/** Encodes a drawn picture as the request asks, with its parameters in it where wanted, and its thumbnail. */
export async function encodePicture(picture: DrawnPicture, request: CompleteRequest): Promise<EncodedPicture> {
  const parameters = infotextOf(request, picture.index);
  const { width, height, pixels, index, seed } = await enlarged(picture, request.output.scale);
  const raw = { raw: { width, height, channels: 3 as const } };
  const { format, quality = DEFAULT_QUALITY, metadata = true } = request.output;
  const encoding = format === "png" ? { format } : { format, quality };
  const bytes = await encodeFile({ width, height, data: pixels }, encoding, metadata ? { parameters } : {});
  const thumbnail = await sharp(pixels, raw)
    .resize(THUMBNAIL_SIDE, THUMBNAIL_SIDE, { fit: "inside", withoutEnlargement: true })
    .jpeg({ quality: THUMBNAIL_QUALITY })
    .toBuffer();
  return { index, seed, width, height, format, bytes, thumbnail };
}

async function enlarged(picture: DrawnPicture, scale = 1): Promise<DrawnPicture> {
  if (scale === 1) return picture;
  const [width, height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
  const from = { raw: { width: picture.width, height: picture.height, channels: 3 as const } };
  const pixels = await sharp(picture.pixels, from).resize(width, height, { kernel: "lanczos3", fit: "fill" }).raw().toBuffer();
  return { ...picture, width, height, pixels };
}
