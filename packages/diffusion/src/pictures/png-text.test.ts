import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { testPicture } from "../testing/test-picture.ts";
import { encodePng } from "./encode.ts";
import { addPngTexts, compressedPngTextBytes, MAX_BROKEN_PNG_TEXTS, MAX_PNG_TEXT_BYTES, readPngTexts } from "./png-text.ts";

const picture = testPicture(20, 10);

/** A chunk as a stranger may write it. */
function chunk(type: string, data: Buffer, checksum?: number): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(checksum ?? crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

async function pngWith(...chunks: Buffer[]): Promise<Uint8Array> {
  const png = await encodePng(picture);
  return Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);
}

describe("PNG texts", () => {
  it("are read back as they were written, in Latin-1, in UTF-8 and long", async () => {
    const texts = [
      { keyword: "parameters", text: "a café\nSteps: 20" },
      { keyword: "kiln", text: "日本 😀" },
      { keyword: "long", text: "é–".repeat(5000) },
    ];
    const png = await encodePng(picture, texts);
    expect([...readPngTexts(png)]).toEqual(texts.map(({ keyword, text }) => [keyword, text]));
    expect(new Uint8Array(await sharp(png).raw().toBuffer())).toEqual(picture.data);
  });

  it("are what other programs read", async () => {
    const { comments } = await sharp(await encodePng(picture, [{ keyword: "parameters", text: "a cat" }])).metadata();
    expect(comments).toEqual([{ keyword: "parameters", text: "a cat" }]);
  });

  it("reads compressed texts", async () => {
    const png = await pngWith(chunk("zTXt", Buffer.concat([Buffer.from("a\0\0"), deflateSync("text")])));
    expect(readPngTexts(png).get("a")).toBe("text");
  });

  it("leaves out a bomb, a wrong checksum, a broken stream and a text without an end, and keeps the rest", async () => {
    const bomb = deflateSync(Buffer.alloc(MAX_PNG_TEXT_BYTES + 1));
    const png = await pngWith(
      chunk("zTXt", Buffer.concat([Buffer.from("bomb\0\0"), bomb])),
      chunk("tEXt", Buffer.from("sum\0text"), 1),
      chunk("zTXt", Buffer.from("broken\0\0xyz")),
      chunk("tEXt", Buffer.from("endless")),
      chunk("iTXt", Buffer.from("short\0\0")),
      chunk("tEXt", Buffer.from("good\0text")),
    );
    expect([...readPngTexts(png)]).toEqual([["good", "text"]]);
  });

  it("end behind as many bombs as no honest file has, and count what comes twice", async () => {
    const bomb = chunk("zTXt", Buffer.concat([Buffer.from("bomb\0\0"), deflateSync(Buffer.alloc(MAX_PNG_TEXT_BYTES + 1))]));
    const good = chunk("tEXt", Buffer.from("good\0text"));
    const bombs = (count: number) => Array.from({ length: count }, () => bomb);
    expect(readPngTexts(await pngWith(...bombs(MAX_BROKEN_PNG_TEXTS - 1), good)).size).toBe(1);
    expect(readPngTexts(await pngWith(...bombs(MAX_BROKEN_PNG_TEXTS), good)).size).toBe(0);
    const half = deflateSync(Buffer.alloc(MAX_PNG_TEXT_BYTES / 2));
    const twice = [1, 2].map(() => chunk("zTXt", Buffer.concat([Buffer.from("half\0\0"), half])));
    expect([...readPngTexts(await pngWith(...twice, good)).keys()]).toEqual(["half"]);
  });

  it("are counted where they may be compressed", async () => {
    const texts = [chunk("zTXt", Buffer.from("a\0\0x")), chunk("iTXt", Buffer.from("b\0")), chunk("tEXt", Buffer.from("c\0d"))];
    expect(compressedPngTextBytes(await pngWith(...texts))).toBe(6);
    expect(compressedPngTextBytes(Buffer.from("hello"))).toBe(0);
  });

  it("survive any cut", async () => {
    const png = await encodePng(picture, [{ keyword: "a", text: "b" }]);
    for (let length = 0; length < 60; length++) expect(readPngTexts(png.subarray(0, length)).size).toBeLessThanOrEqual(1);
  });

  it("are not added to what is no PNG", () => {
    expect(() => addPngTexts(Buffer.from("hello"), [])).toThrow(expect.objectContaining({ code: "picture_invalid" }));
  });
});
