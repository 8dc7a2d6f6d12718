import { crc32, deflateSync, inflateSync } from "node:zlib";
import { KilnError } from "../errors.ts";

/** One text chunk of a PNG: a keyword of 1 to 79 Latin-1 characters and a text. */
export interface PngText {
  readonly keyword: string;
  readonly text: string;
}

/** ComfyUI's largest workflows have some 500 kB; a stranger's text chunks are read no further than this in all. */
export const MAX_PNG_TEXT_BYTES = 4 * 1024 * 1024;
/** Real files have one to three text chunks. */
export const MAX_PNG_TEXTS = 64;
/** Text chunks that unpack to nothing readable; a file of ten thousand bombs would keep the unpacking busy for minutes. */
export const MAX_BROKEN_PNG_TEXTS = 8;

const SIGNATURE_BYTES = 8;
/** Length, type, checksum. */
const CHUNK_FRAME_BYTES = 12;
const LATIN_1 = /^[\t\n\r\x20-\x7e\u00a0-\u00ff]*$/;

/**
 * A PNG with text chunks behind its header (PNG specification, third edition, section 11.3.3): tEXt where the text is
 * Latin-1, else iTXt in UTF-8.
 * @throws KilnError `picture_invalid` where `png` is none.
 */
export function addPngTexts(png: Uint8Array, texts: readonly PngText[]): Uint8Array {
  const [header] = chunks(png);
  if (header?.type !== "IHDR") throw new KilnError("picture_invalid", "The bytes are not a PNG, so no text can be added.");
  const cut = header.end;
  return Buffer.concat([png.subarray(0, cut), ...texts.map(textChunk), png.subarray(cut)]);
}

/**
 * The text chunks of a PNG by keyword (tEXt, zTXt, iTXt), the first of each. Chunks with a wrong checksum, and whatever
 * lies beyond the limits, are left out: metadata is never a reason to refuse a picture.
 */
export function readPngTexts(png: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  let budget = MAX_PNG_TEXT_BYTES;
  let broken = 0;
  for (const chunk of chunks(png)) {
    if (found.size >= MAX_PNG_TEXTS || broken >= MAX_BROKEN_PNG_TEXTS) break;
    if (!["tEXt", "zTXt", "iTXt"].includes(chunk.type) || chunk.data.length > budget || !chunk.checksumHolds()) continue;
    const entry = parseText(chunk.type, chunk.data, budget);
    if (entry === undefined) {
      broken++;
      continue;
    }
    budget -= entry.bytes;
    if (!found.has(entry.keyword)) found.set(entry.keyword, entry.text);
  }
  return found;
}

/**
 * Bytes of a PNG's text chunks that may be compressed; 0 for what is no PNG. Picture libraries unpack them all, a
 * thousandfold at worst, before they say the size: 41 MB of them keep one busy for half a minute.
 */
export function compressedPngTextBytes(png: Uint8Array): number {
  let bytes = 0;
  for (const { type, data } of chunks(png)) if (type === "zTXt" || type === "iTXt") bytes += data.length;
  return bytes;
}

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
  /** Position behind the chunk. */
  readonly end: number;
  checksumHolds(): boolean;
}

function* chunks(png: Uint8Array): Generator<Chunk> {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.length);
  if (bytes.subarray(0, SIGNATURE_BYTES).toString("latin1") !== "\x89PNG\r\n\x1a\n") return;
  let position = SIGNATURE_BYTES;
  while (position + CHUNK_FRAME_BYTES <= bytes.length) {
    const length = bytes.readUInt32BE(position);
    const end = position + CHUNK_FRAME_BYTES + length;
    if (end > bytes.length) return;
    const body = bytes.subarray(position + 4, end - 4);
    const type = body.toString("latin1", 0, 4);
    yield { type, data: body.subarray(4), end, checksumHolds: () => crc32(body) === bytes.readUInt32BE(end - 4) };
    if (type === "IEND") return;
    position = end;
  }
}

function textChunk({ keyword, text }: PngText): Uint8Array {
  if (!/^[\x20-\x7e\u00a1-\u00ff]{1,79}$/.test(keyword)) throw new RangeError(`${JSON.stringify(keyword)} is no PNG keyword`);
  if (LATIN_1.test(text)) return chunk("tEXt", Buffer.from(`${keyword}\0${text}`, "latin1"));
  const utf8 = Buffer.from(text, "utf8");
  const compress = utf8.length > 1024;
  // Keyword, compression flag and method, then an empty language and an empty translated keyword.
  const head = Buffer.concat([Buffer.from(keyword, "latin1"), Buffer.of(0, compress ? 1 : 0, 0, 0, 0)]);
  return chunk("iTXt", Buffer.concat([head, compress ? deflateSync(utf8) : utf8]));
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

interface ParsedText extends PngText {
  readonly bytes: number;
}

function parseText(type: string, data: Uint8Array, budget: number): ParsedText | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const end = bytes.indexOf(0);
  if (end < 1 || end > 79) return undefined;
  const keyword = bytes.toString("latin1", 0, end);
  const rest = bytes.subarray(end + 1);
  if (type === "tEXt") return { keyword, text: rest.toString("latin1"), bytes: rest.length };
  if (type === "zTXt") return decoded(keyword, inflate(rest.subarray(1), budget), "latin1");
  const language = rest.indexOf(0, 2);
  const translated = rest.indexOf(0, language + 1);
  if (language < 0 || translated < 0) return undefined;
  const content = rest.subarray(translated + 1);
  return decoded(keyword, rest[0] === 1 ? inflate(content, budget) : content, "utf8");
}

function decoded(keyword: string, content: Buffer | undefined, encoding: "latin1" | "utf8"): ParsedText | undefined {
  return content === undefined ? undefined : { keyword, text: content.toString(encoding), bytes: content.length };
}

function inflate(bytes: Uint8Array, limit: number): Buffer | undefined {
  try {
    return inflateSync(bytes, { maxOutputLength: Math.max(1, limit) });
  } catch {
    return undefined;
  }
}
