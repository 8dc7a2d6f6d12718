/** A JPEG segment holds 65,533 bytes; this is what is left for the comment beside the frame around it. */
export const MAX_COMMENT_BYTES = 65_000;

const EXIF_IFD = 0x8769;
const USER_COMMENT = 0x9286;
const TYPE_LONG = 4;
const TYPE_UNDEFINED = 7;
const UNICODE = "UNICODE\0";
const ASCII = "ASCII\0\0\0";
/** What writers leave who do not say how they encode, which is UTF-8 in practice. */
const UNDEFINED = "\0\0\0\0\0\0\0\0";
/** Directories of real files have some dozens of entries. */
const MAX_ENTRIES = 512;

/**
 * An Exif block (Exif 2.32, section 4.6: a big-endian TIFF header and two directories) with one entry, the user comment
 * in UTF-16: where AUTOMATIC1111 keeps its infotext in JPEG and WebP. A text that does not fit is cut.
 */
export function exifWithComment(text: string): Uint8Array {
  const utf16 = Buffer.from(text.slice(0, MAX_COMMENT_BYTES / 2), "utf16le").swap16();
  const comment = Buffer.concat([Buffer.from(UNICODE, "latin1"), utf16]);
  const header = Buffer.from("MM\0*\0\0\0\x08", "latin1");
  const [first, second] = [header.length, header.length + 18];
  return Buffer.concat([
    header,
    directory(EXIF_IFD, TYPE_LONG, 1, second),
    directory(USER_COMMENT, TYPE_UNDEFINED, comment.length, first + 36),
    comment,
  ]);
}

/** A directory with one entry and no successor: 18 bytes. */
function directory(tag: number, type: number, count: number, value: number): Buffer {
  const out = Buffer.alloc(18);
  out.writeUInt16BE(1, 0);
  out.writeUInt16BE(tag, 2);
  out.writeUInt16BE(type, 4);
  out.writeUInt32BE(count, 6);
  out.writeUInt32BE(value, 10);
  return out;
}

/** The user comment of an Exif block, with or without its leading `Exif\0\0`; undefined where there is none that can be read. */
export function readExifComment(exif: Uint8Array): string | undefined {
  const whole = Buffer.from(exif.buffer, exif.byteOffset, exif.length);
  const tiff = whole.toString("latin1", 0, 6) === "Exif\0\0" ? whole.subarray(6) : whole;
  const order = tiff.toString("latin1", 0, 2);
  if (tiff.length < 8 || (order !== "MM" && order !== "II")) return undefined;
  const reader = new TiffReader(tiff, order === "MM");
  const pointer = reader.find(reader.uint32(4), EXIF_IFD);
  const entry = pointer === undefined ? undefined : reader.find(pointer.value, USER_COMMENT);
  if (entry === undefined || entry.count < UNICODE.length || entry.value + entry.count > tiff.length) return undefined;
  const comment = tiff.subarray(entry.value, entry.value + entry.count);
  const code = comment.toString("latin1", 0, UNICODE.length);
  const content = comment.subarray(UNICODE.length);
  if (code === ASCII || code === UNDEFINED) return content.toString("utf8").replace(/\0+$/, "");
  if (code !== UNICODE) return undefined;
  const even = Buffer.from(content.subarray(0, content.length - (content.length % 2)));
  return (order === "MM" ? even.swap16() : even).toString("utf16le");
}

interface Entry {
  readonly count: number;
  readonly value: number;
}

/** Reads numbers anywhere in a block; what lies outside is 0. */
class TiffReader {
  readonly #bytes: Buffer;
  readonly #bigEndian: boolean;

  constructor(bytes: Buffer, bigEndian: boolean) {
    this.#bytes = bytes;
    this.#bigEndian = bigEndian;
  }

  uint16(at: number): number {
    if (at + 2 > this.#bytes.length) return 0;
    return this.#bigEndian ? this.#bytes.readUInt16BE(at) : this.#bytes.readUInt16LE(at);
  }

  uint32(at: number): number {
    if (at + 4 > this.#bytes.length) return 0;
    return this.#bigEndian ? this.#bytes.readUInt32BE(at) : this.#bytes.readUInt32LE(at);
  }

  /** The entry of `tag` in the directory at `start`. */
  find(start: number, tag: number): Entry | undefined {
    const entries = Math.min(this.uint16(start), MAX_ENTRIES);
    for (let index = 0; index < entries; index++) {
      const at = start + 2 + index * 12;
      if (this.uint16(at) === tag) return { count: this.uint32(at + 4), value: this.uint32(at + 8) };
    }
    return undefined;
  }
}
