import { KilnError } from "@kiln/diffusion";
import { describe, expect, it } from "vitest";
import { control, embedding, lora, seed, size } from "../src/arguments.ts";
import { didYouMean } from "../src/did-you-mean.ts";
import { inOptions, requestOf } from "../src/generate-options.ts";

describe("arguments", () => {
  it.each([
    ["1024x768", { width: 1024, height: 768 }],
    ["512", { width: 512, height: 512 }],
    ["64×128", { width: 64, height: 128 }],
  ])("reads the size %s", (text, expected) => expect(size(text)).toEqual(expected));

  it.each([
    ["ink.safetensors", { file: "ink.safetensors" }],
    ["ink.safetensors:0.8", { file: "ink.safetensors", weight: 0.8 }],
    ["ink.safetensors:-.5", { file: "ink.safetensors", weight: -0.5 }],
    ["ink.safetensors:1:0", { file: "ink.safetensors", weight: 1, textEncoderWeight: 0 }],
    ["a:b/ink.safetensors:0.8", { file: "a:b/ink.safetensors", weight: 0.8 }],
  ])("reads the LoRA %s", (text, expected) => expect(lora(text)).toEqual(expected));

  it.each([
    ["pose:a.png", { model: "pose", image: "a.png" }],
    ["pose:a.png:0.5", { model: "pose", image: "a.png", scale: 0.5 }],
    ["pose:a.png:0.5:0-0.8", { model: "pose", image: "a.png", scale: 0.5, start: 0, end: 0.8 }],
    ["pose:a.png:0.2-1", { model: "pose", image: "a.png", start: 0.2, end: 1 }],
  ])("reads the ControlNet %s", (text, expected) => expect(control(text)).toEqual(expected));

  it("reads embeddings and seeds", () => {
    expect(embedding("cat.safetensors:<cat>")).toEqual({ file: "cat.safetensors", token: "<cat>" });
    expect(seed("18446744073709551615")).toBe(2n ** 64n - 1n);
  });

  it.each([() => size("10x"), () => control("pose"), () => seed("-1"), () => embedding("cat.pt")])(
    "refuses what is none: %s",
    (read) => expect(read).toThrow(expect.objectContaining({ code: "invalid_request" })),
  );

  it.each([
    ["generat", "generate"],
    ["sevre", "serve"],
    ["inspekt", "inspect"],
    ["paint", undefined],
    ["", undefined],
  ])("guesses that %j means %s", (word, meant) => {
    expect(didYouMean(word, ["generate", "inspect", "serve", "models"])).toBe(meant);
  });

  it("tells failures in the words of the command line", () => {
    const failure = new KilnError("invalid_request", "guidanceScale must be from 0 to 100, not 1000.", {
      subject: "guidanceScale",
    });
    expect(inOptions(failure)).toMatchObject({
      message: "--guidance must be from 0 to 100, not 1000.",
      subject: "guidanceScale",
    });
    const other = new KilnError("numeric", "The picture holds NaN.");
    expect(inOptions(other)).toBe(other);
  });

  it("means A1111's prompts and noise where its sampler is named, unless others are", () => {
    const a1111 = requestOf("a fox", { sampler: "Euler a", metadata: true });
    expect(a1111).toMatchObject({ promptSyntax: "a1111", noise: "philox", scheduler: { a1111: { sampler: "Euler a" } } });
    expect(requestOf("a fox", { sampler: "Euler a", noise: "torch-cpu", syntax: "plain", metadata: true })).toMatchObject({
      promptSyntax: "plain",
      noise: "torch-cpu",
    });
  });
});
