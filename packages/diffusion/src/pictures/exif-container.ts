/** Bit of the VP8X flags that says that an EXIF chunk follows (WebP container specification, "Extended File Format"). */
const WEBP_EXIF_FLAG = 0x08;

/** A JPEG with an Exif block as its first segment (APP1). @param exif at most 65,527 bytes */
export function addExifToJpeg(jpeg: Uint8Array, exif: Uint8Array): Uint8Array {
  const name = Buffer.from("Exif\0\0", "latin1");
  const head = Buffer.alloc(4);
  head.writeUInt16BE(0xffe1, 0);
  head.writeUInt16BE(2 + name.length + exif.length, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, name, exif, jpeg.subarray(2)]);
}

/**
 * A WebP with an EXIF chunk at its end; a simple file becomes an extended one.
 * @param size width and height of the picture, at most 16,383 each
 */
export function addExifToWebp(
  webp: Uint8Array,
  exif: Uint8Array,
  size: { readonly width: number; readonly height: number },
): Uint8Array {
  const chunks = Buffer.from(webp.subarray(12));
  const extended = chunks.toString("latin1", 0, 4) === "VP8X";
  if (extended) chunks.writeUInt8((chunks[8] ?? 0) | WEBP_EXIF_FLAG, 8);
  const header = Buffer.alloc(10);
  header.writeUInt8(WEBP_EXIF_FLAG, 0);
  header.writeUIntLE(size.width - 1, 4, 3);
  header.writeUIntLE(size.height - 1, 7, 3);
  const body = Buffer.concat([
    Buffer.from("WEBP"),
    ...(extended ? [] : [riffChunk("VP8X", header)]),
    chunks,
    riffChunk("EXIF", exif),
  ]);
  return riffChunk("RIFF", body);
}

function riffChunk(type: string, data: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.write(type, 0, "latin1");
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
}
