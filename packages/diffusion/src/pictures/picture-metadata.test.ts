import { describe, expect, it } from "vitest";
import { testPicture } from "../testing/test-picture.ts";
import { decodePicture } from "./decode.ts";
import { encodeJpeg, encodePng, encodeWebp } from "./encode.ts";
import { exifWithComment, MAX_COMMENT_BYTES, readExifComment } from "./exif-comment.ts";
import { encodePicture, readPictureMetadata } from "./picture-metadata.ts";

const picture = testPicture(33, 20);
const metadata = { parameters: "a cat – 日本 😀\nSteps: 1", kiln: { seed: "1", sizes: [1, 2] } };

describe("picture metadata", () => {
  it("comes back from a PNG", async () => {
    expect(await readPictureMetadata(await encodePicture(picture, { format: "png" }, metadata))).toEqual(metadata);
  });

  it.each(["jpeg", "webp"] as const)("comes back from %s without its JSON, and leaves the picture alone", async (format) => {
    const file = await encodePicture(picture, { format }, metadata);
    expect(await readPictureMetadata(file)).toEqual({ parameters: metadata.parameters });
    const bare = format === "jpeg" ? await encodeJpeg(picture) : await encodeWebp(picture);
    expect(await decodePicture(file)).toEqual(await decodePicture(bare));
  });

  it("comes back from a lossless WebP", async () => {
    const file = await encodePicture(picture, { format: "webp", quality: "lossless" }, metadata);
    expect(await readPictureMetadata(file)).toEqual({ parameters: metadata.parameters });
    expect(await decodePicture(file)).toEqual(picture);
  });

  it("is empty where there is none, where it is not JSON, and where the bytes are no picture", async () => {
    expect(await readPictureMetadata(await encodePng(picture, [{ keyword: "kiln", text: "{" }]))).toEqual({});
    expect(await readPictureMetadata(await encodeJpeg(picture))).toEqual({});
    expect(await readPictureMetadata(Buffer.from("hello"))).toEqual({});
    expect(await readPictureMetadata(Buffer.from("\xff\xd8\xff", "latin1"))).toEqual({});
  });
});

describe("Exif comments", () => {
  it("cuts what a JPEG segment cannot hold", async () => {
    const file = await encodeJpeg(picture, 90, "é".repeat(100_000));
    expect((await readPictureMetadata(file)).parameters).toBe("é".repeat(MAX_COMMENT_BYTES / 2));
  });

  it("reads ASCII, and little-endian blocks", () => {
    const block = Buffer.from(exifWithComment("abcd"));
    block.write("ASCII\0\0\0", 44, "latin1");
    expect(readExifComment(block)).toBe("\0a\0b\0c\0d");
    block.write("\0\0\0\0\0\0\0\0", 44, "latin1");
    block.write("caf\u00e9\0\0\0", 52, "utf8");
    expect(readExifComment(block)).toBe("caf\u00e9");
    const little = Buffer.alloc(60);
    little.write("II*\0", 0, "latin1");
    for (const [at, value] of [
      [4, 8],
      [14, 1],
      [18, 26],
      [32, 12],
      [36, 44],
    ] as const)
      little.writeUInt32LE(value, at);
    for (const [at, value] of [
      [8, 1],
      [10, 0x8769],
      [12, 4],
      [26, 1],
      [28, 0x9286],
      [30, 7],
    ] as const)
      little.writeUInt16LE(value, at);
    little.write("UNICODE\0h\0i\0", 44, "latin1");
    expect(readExifComment(little)).toBe("hi");
  });

  it("survives any cut and any damaged byte", () => {
    const block = exifWithComment("abc");
    for (let length = 0; length < block.length; length++) expect(readExifComment(block.subarray(0, length))).toBeUndefined();
    for (let at = 0; at < block.length; at++) {
      const damaged = Uint8Array.from(block);
      damaged[at] = 0xff;
      expect(["string", "undefined"]).toContain(typeof readExifComment(damaged));
    }
  });
});
