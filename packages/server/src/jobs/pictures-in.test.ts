import { crc32 } from "node:zlib";
import sharp from "sharp";
import { expect, test } from "vitest";
import { inspectPicture } from "./pictures-in.ts";

/** Behind the signature and the header. */
const FIRST_CHUNK = 33;

function text(keyword: string): Buffer {
  const body = Buffer.from(`zTXt${keyword}\0\0`, "latin1");
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(body.length - 4);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}

test("a PNG of some compressed texts is read, and one of more than any honest file has is not", async () => {
  const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  const withTexts = (count: number) => {
    const texts = Array.from({ length: count }, (_, at) => text(`t${at}`));
    return Buffer.concat([png.subarray(0, FIRST_CHUNK), ...texts, png.subarray(FIRST_CHUNK)]);
  };
  expect(await inspectPicture(withTexts(10), "image")).toMatchObject({ width: 8, format: "png" });
  await expect(inspectPicture(withTexts(65), "image")).rejects.toMatchObject({
    code: "picture_invalid",
    field: "image",
    message: expect.stringContaining("compressed text chunks"),
  });
});
