import { describe, expect, it } from "vitest";
import { commonSettings, formatInfotext, parseInfotext, parseSize } from "./infotext.ts";

const settings = commonSettings({
  steps: 20,
  sampler: "Euler",
  scheduleType: "Karras",
  cfgScale: 7,
  seed: "18446744073709551615",
  width: 512,
  height: 768,
  modelHash: "31e35c80fc",
  model: "sd_xl_base_1.0",
  extra: [["Lora hashes", "ink: 0123, night: 4567"]],
  version: "Kiln 0.1.0",
});

describe("infotext", () => {
  const text = [
    "a cat, (sitting:1.2)",
    "on a mat",
    "Negative prompt: blurry",
    'Steps: 20, Sampler: Euler, Schedule type: Karras, CFG scale: 7, Seed: 18446744073709551615, Size: 512x768, Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Lora hashes: "ink: 0123, night: 4567", Version: Kiln 0.1.0',
  ].join("\n");

  it("is written as AUTOMATIC1111 writes it", () => {
    expect(formatInfotext({ prompt: "a cat, (sitting:1.2)\non a mat", negativePrompt: "blurry", settings })).toBe(text);
  });

  it("is read back", () => {
    const parsed = parseInfotext(text);
    expect(parsed.prompt).toBe("a cat, (sitting:1.2)\non a mat");
    expect(parsed.negativePrompt).toBe("blurry");
    expect([...parsed.settings]).toEqual(
      settings.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]),
    );
    expect(parseSize(parsed.settings.get("Size"))).toEqual({ width: 512, height: 768 });
  });

  it.each(['say "hi", now', "a: b", "line\nbreak", 'back\\slash, "'])("quotes %j", (value) => {
    const line = formatInfotext({
      prompt: "x",
      settings: [
        ["Steps", 1],
        ["Sampler", "Euler"],
        ["Note", value],
      ],
    });
    expect(parseInfotext(line).settings.get("Note")).toBe(value);
  });

  it("takes a text without settings for a prompt", () => {
    expect(parseInfotext("a cat: black, big")).toEqual({ prompt: "a cat: black, big", negativePrompt: "", settings: new Map() });
    expect(parseInfotext("")).toEqual({ prompt: "", negativePrompt: "", settings: new Map() });
  });

  it("leaves out a negative prompt and settings that are not there", () => {
    expect(
      formatInfotext({
        prompt: "x",
        negativePrompt: "",
        settings: [
          ["A", 1],
          ["B", undefined],
        ],
      }),
    ).toBe("x\nA: 1");
    expect(parseSize("512")).toBeUndefined();
  });

  it.each(["a ", 'aa:"', 'aa:"\\', ":", "aa:"])("reads 100 kB of %j", (piece) => {
    expect(parseInfotext(piece.repeat(100_000 / piece.length)).prompt.length).toBeLessThanOrEqual(100_000);
  });
});
