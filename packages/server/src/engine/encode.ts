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
  const parameters = infotextOf(request, picture.seed);
  const { width, height, pixels, index, seed } = await enlarged(picture, request.output.scale);
  const raw = { raw: { width, height, channels: 3 as const } };
  const { format, quality = DEFAULT_QUALITY, metadata = true } = request.output;
  const plain = sharp(pixels, raw);
  let bytes: Buffer;
  if (format === "png") {
    bytes = await plain.png({ compressionLevel: 6 }).toBuffer();
    if (metadata) bytes = withText(bytes, "parameters", parameters);
  } else {
    const described = metadata ? plain.withExif({ IFD0: { ImageDescription: parameters } }) : plain;
    bytes = await (format === "jpeg" ? described.jpeg({ quality }) : described.webp({ quality })).toBuffer();
  }
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

/** Adds an iTXt chunk (PNG specification, 11.3.3.4) after the header; readers of A1111's parameters look there. */
export function withText(png: Buffer, keyword: string, text: string): Buffer {
  const afterHeader = 8 + 25; // signature, then IHDR: length, type, 13 bytes, CRC
  const body = Buffer.concat([Buffer.from("iTXt"), Buffer.from(`${keyword}\0\0\0\0\0`, "latin1"), Buffer.from(text, "utf8")]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length - 4);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([png.subarray(0, afterHeader), length, body, checksum, png.subarray(afterHeader)]);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

/** The PNG specification's CRC, annex D. */
function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (CRC_TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
