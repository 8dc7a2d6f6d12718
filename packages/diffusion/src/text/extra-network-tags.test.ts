import { describe, expect, it } from "vitest";
import { extractLoraTags } from "./extra-network-tags.ts";

describe("extractLoraTags", () => {
  it.each([
    ["a cat <lora:ink:0.8>, moon", "a cat , moon", [{ name: "ink", textEncoderWeight: 0.8, unetWeight: 0.8 }]],
    ["<lora:ink>", "", [{ name: "ink", textEncoderWeight: 1, unetWeight: 1 }]],
    ["<LYCO:my file.v2:0.5:-1>x", "x", [{ name: "my file.v2", textEncoderWeight: 0.5, unetWeight: -1 }]],
    ["<lora:a:te=0.2:unet=0.4>", "", [{ name: "a", textEncoderWeight: 0.2, unetWeight: 0.4 }]],
    [
      "<lora:a:1><lora:b:2>",
      "",
      [
        { name: "a", textEncoderWeight: 1, unetWeight: 1 },
        { name: "b", textEncoderWeight: 2, unetWeight: 2 },
      ],
    ],
    ["<tag> <lora:> <lora:a:strong> a < b", "<tag> <lora:> <lora:a:strong> a < b", []],
  ])("reads %j", (prompt, text, loras) => {
    expect(extractLoraTags(prompt)).toEqual({ text, loras });
  });

  it("reads hostile text", () => {
    const prompt = "<lora:a".repeat(20_000);
    expect(extractLoraTags(prompt)).toEqual({ text: prompt, loras: [] });
  });
});
