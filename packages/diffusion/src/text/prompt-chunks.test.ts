import { describe, expect, it } from "vitest";
import { ClipTokenizer, WINDOW_LENGTH } from "./clip-tokenizer.ts";
import { MAX_PROMPT_CHUNKS, padWindows, promptChunks, promptWindow } from "./prompt-chunks.ts";
import { PromptEmbeddings } from "./prompt-tokens.ts";
import type { TextualInversion } from "./textual-inversion.ts";

const tokenizer = ClipTokenizer.standard("clip_l");
const [WORD, COMMA, BOS, EOS] = [2368, 267, 49406, 49407];

/** How many tokens of text each window holds. */
const lengths = (text: string) => promptChunks(tokenizer, text).map(({ ids }) => ids.indexOf(EOS) - 1);
const words = (count: number) => "cat ".repeat(count);

describe("promptChunks", () => {
  it.each<[string, string, number[]]>([
    ["nothing", "", [0]],
    ["a full chunk", words(75), [75]],
    ["one too many", words(76), [75, 1]],
    ["a comma within reach", `${words(60)}, ${words(20)}`, [61, 20]],
    ["a comma at the edge of reach", `${words(55)}, ${words(20)}`, [56, 20]],
    ["a comma out of reach", `${words(54)}, ${words(21)}`, [75, 1]],
    ["a comma as the 76th", `${words(75)}, ${words(2)}`, [75, 3]],
    ["BREAK", "cat BREAK cat cat", [1, 2]],
    ["BREAK at the start and the end", "BREAK cat BREAK", [0, 1]],
  ])("cuts %s", (_, text, expected) => {
    expect(lengths(text)).toEqual(expected);
  });

  it("weights the text and leaves the frame alone", () => {
    const [window] = promptChunks(tokenizer, "cat (cat:1.5), cat");
    expect(window?.ids.slice(0, 6)).toEqual([BOS, WORD, WORD, COMMA, WORD, EOS]);
    expect(window?.weights.slice(0, 6)).toEqual([1, 1, 1.5, 1, 1, 1]);
    expect([window?.ids.length, window?.weights.length]).toEqual([WINDOW_LENGTH, WINDOW_LENGTH]);
  });

  it("refuses more chunks than it has room for", () => {
    expect(promptChunks(tokenizer, "a BREAK ".repeat(MAX_PROMPT_CHUNKS))).toHaveLength(MAX_PROMPT_CHUNKS);
    expect(() => promptChunks(tokenizer, "a BREAK ".repeat(MAX_PROMPT_CHUNKS + 1))).toThrow(
      expect.objectContaining({ code: "invalid_request", subject: "prompt" }),
    );
  });

  it("pads to a number of windows with the empty prompt", () => {
    const windows = padWindows(tokenizer, promptChunks(tokenizer, "cat"), 3);
    expect(windows).toHaveLength(3);
    expect(windows[2]?.ids).toEqual(tokenizer.frame([]));
  });
});

describe("promptWindow", () => {
  it("takes brackets as text and cuts what does not fit", () => {
    const window = promptWindow(tokenizer, `(cat:1.5) ${words(80)}`);
    expect(window.weights.every((weight) => weight === 1)).toBe(true);
    expect(window.ids).toHaveLength(WINDOW_LENGTH);
    expect(window.ids[76]).toBe(EOS);
  });
});

describe("textual inversion in a prompt", () => {
  const inversion = (count: number, ...names: string[]): TextualInversion => ({
    names,
    vectors: new Map([["clip_l", Array.from({ length: count }, (_, index) => Float32Array.of(index, 1))]]),
  });
  const embeddings = new PromptEmbeddings([inversion(2, "kiln-style", "<kiln>"), inversion(3, "kiln")], "clip_l", 2);

  it("puts vectors in the place of file name and token, whatever the capitals", () => {
    const window = promptWindow(tokenizer, "cat, Kiln-Style, <kiln>, kilns kiln", embeddings);
    expect([...window.vectors.keys()]).toEqual([3, 4, 6, 7, 11, 12, 13]);
    expect(window.vectors.get(4)).toEqual(Float32Array.of(1, 1));
    expect(window.ids.slice(0, 6)).toEqual([BOS, WORD, COMMA, 0, 0, COMMA]);
  });

  it("weights every vector of an embedding", () => {
    const [window] = promptChunks(tokenizer, "cat (kiln-style:1.5)", embeddings);
    expect(window?.weights.slice(0, 5)).toEqual([1, 1, 1.5, 1.5, 1]);
  });

  it("never cuts an embedding in two", () => {
    const windows = promptChunks(tokenizer, `${words(73)} kiln cat`, embeddings);
    expect(windows.map(({ vectors }) => [...vectors.keys()])).toEqual([[], [1, 2, 3]]);
  });

  it("refuses an embedding for other text encoders", () => {
    for (const [encoder, width] of [
      ["clip_g", 2],
      ["clip_l", 4],
    ] as const)
      expect(() => new PromptEmbeddings([inversion(1, "kiln")], encoder, width)).toThrow(
        expect.objectContaining({ code: "adapter_mismatch" }),
      );
  });
});
