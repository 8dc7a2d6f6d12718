import { crc32 } from "node:zlib";
import sharp from "sharp";
import { expect, test } from "vitest";
import { inspectPicture } from "./pictures-in.ts";

/** Behind the signature and the header. */
const FIRST_CHUNK = 33;

function text(bytes: number): Buffer {
  const body = Buffer.concat([Buffer.from("zTXttext\0\0", "latin1"), Buffer.alloc(bytes)]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(body.length - 4);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}

test("a PNG with compressed texts is read, and one with more of them than any honest file has is not", async () => {
  const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  const withTexts = (...texts: Buffer[]) => Buffer.concat([png.subarray(0, FIRST_CHUNK), ...texts, png.subarray(FIRST_CHUNK)]);
  expect(await inspectPicture(withTexts(text(1000), text(1000)), "image")).toMatchObject({ width: 8, format: "png" });
  await expect(inspectPicture(withTexts(text(600_000), text(600_000)), "image")).rejects.toMatchObject({
    code: "picture_invalid",
    field: "image",
    message: expect.stringContaining("compressed texts"),
  });
});
