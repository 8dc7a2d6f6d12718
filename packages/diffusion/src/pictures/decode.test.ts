import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, describe, expect, it } from "vitest";
import { testMask, testPicture } from "../testing/test-picture.ts";
import { decodeMask, decodePicture, decodePictureWithAlpha } from "./decode.ts";
import { encodeJpeg, encodePng, encodeWebp } from "./encode.ts";
import { toGrey } from "./picture.ts";

const folder = mkdtempSync(join(tmpdir(), "kiln-pictures-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const picture = testPicture(33, 20);

describe("decodePicture", () => {
  it("gives back a PNG's and a lossless WebP's pixels, from bytes and from a path", async () => {
    expect(await decodePicture(await encodePng(picture))).toEqual(picture);
    expect(await decodePicture(await encodeWebp(picture, "lossless"))).toEqual(picture);
    const path = join(folder, "picture.png");
    writeFileSync(path, await encodePng(picture));
    expect(await decodePicture(path)).toEqual(picture);
  });

  it("decodes JPEG", async () => {
    const smooth = { width: 16, height: 16, data: new Uint8Array(768).fill(90) };
    const decoded = await decodePicture(await encodeJpeg(smooth));
    expect(decoded.data.every((value) => Math.abs(value - 90) <= 1)).toBe(true);
  });

  it("turns a picture upright", async () => {
    const jpeg = await sharp(picture.data, { raw: { width: 33, height: 20, channels: 3 } })
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    expect(await decodePicture(jpeg)).toMatchObject({ width: 20, height: 33 });
  });

  it("makes grey, 16-bit and palette pictures RGB", async () => {
    const mask = testMask(8, 8);
    const grey = await decodePicture(await encodePng(mask));
    expect([...grey.data.subarray(0, 6)]).toEqual([...mask.data.subarray(0, 2)].flatMap((value) => [value, value, value]));
    const source = sharp(picture.data, { raw: { width: 33, height: 20, channels: 3 } });
    expect(await decodePicture(await source.clone().toColourspace("rgb16").png().toBuffer())).toEqual(picture);
    expect(await decodePicture(await source.clone().png({ palette: true }).toBuffer())).toMatchObject({ width: 33, height: 20 });
  });

  it("keeps colours under transparency apart from alpha", async () => {
    const rgba = Buffer.from([10, 20, 30, 0, 40, 50, 60, 255]);
    const png = await sharp(rgba, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    const { picture: colours, alpha } = await decodePictureWithAlpha(png);
    expect([...colours.data]).toEqual([10, 20, 30, 40, 50, 60]);
    expect(alpha?.data).toEqual(Uint8Array.of(0, 255));
  });

  it("reads a mask", async () => {
    expect(await decodeMask(await encodePng(picture))).toEqual(toGrey(picture));
    expect(await decodeMask(await encodePng(testMask(5, 4)))).toEqual(testMask(5, 4));
  });

  const refused: [string, () => Promise<Uint8Array> | Uint8Array][] = [
    ["nothing", () => new Uint8Array(0)],
    ["text", () => Buffer.from("not a picture")],
    ["SVG", () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
    [
      "GIF",
      () =>
        sharp(picture.data, { raw: { width: 33, height: 20, channels: 3 } })
          .gif()
          .toBuffer(),
    ],
    [
      "TIFF",
      () =>
        sharp(picture.data, { raw: { width: 33, height: 20, channels: 3 } })
          .tiff()
          .toBuffer(),
    ],
    ["a signature alone", () => Buffer.from("\x89PNG\r\n\x1a\n", "latin1")],
    ["a cut PNG", async () => (await encodePng(testPicture(200, 200))).subarray(0, 5000)],
    ["a cut JPEG", async () => (await encodeJpeg(testPicture(200, 200))).subarray(0, 5000)],
    ["a cut WebP", async () => (await encodeWebp(testPicture(200, 200))).subarray(0, 5000)],
    [
      "a header that lies about its size",
      async () => {
        const png = Buffer.from(await encodePng(picture));
        png.writeUInt32BE(60_000, 16);
        png.writeUInt32BE(60_000, 20);
        return png;
      },
    ],
    [
      "a decompression bomb",
      () =>
        sharp({ create: { width: 16_000, height: 5_000, channels: 3, background: "black" } })
          .png()
          .toBuffer(),
    ],
  ];
  it.each(refused)("refuses %s", async (_, make) => {
    await expect(decodePicture(await make(), "init_images")).rejects.toThrow(
      expect.objectContaining({ code: "picture_invalid", subject: "init_images" }),
    );
  });

  it("refuses a path that is not there, and a folder", async () => {
    for (const path of [join(folder, "gone.png"), folder])
      await expect(decodePicture(path)).rejects.toThrow(expect.objectContaining({ code: "file_not_found" }));
  });

  it("never crashes on damaged bytes", async () => {
    const png = await encodePng(picture);
    for (let at = 8; at < png.length; at += 17) {
      const damaged = Uint8Array.from(png);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      const result = await decodePicture(damaged).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toMatchObject({ code: "picture_invalid" });
    }
  });
});
