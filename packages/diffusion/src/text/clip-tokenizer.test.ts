import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { referencePath } from "../testing/reference.ts";
import { ClipTokenizer, checkPromptLength, MAX_PROMPT_CHARACTERS, WINDOW_LENGTH } from "./clip-tokenizer.ts";

interface Row {
  readonly text: string;
  readonly tokens: number[];
  readonly ids: number[];
  readonly ids_2: number[];
}

const casesPath = referencePath("cases/tokenizer.json");
const vocabularyPath = referencePath("checkpoints/tiny-xl/tokenizer/vocab.json");

describe("ClipTokenizer", () => {
  it.skipIf(casesPath === undefined)("gives the reference's ids for every text, with the shipped vocabulary", () => {
    const rows: Row[] = JSON.parse(readFileSync(casesPath ?? "", "utf8"));
    expect(rows.length).toBeGreaterThan(40);
    const [first, second] = [ClipTokenizer.standard("clip_l"), ClipTokenizer.standard("clip_g")];
    for (const row of rows) {
      expect(first.encode(row.text), row.text).toEqual(row.tokens);
      expect(first.frame(first.encode(row.text)), row.text).toEqual(row.ids);
      expect(second.frame(second.encode(row.text)), row.text).toEqual(row.ids_2);
    }
  });

  it.skipIf(vocabularyPath === undefined)("reads a folder and finds the same vocabulary as the shipped one", () => {
    const folder = dirname(vocabularyPath ?? "");
    const text = "A (cat), it's 3 o'clock <|endoftext|> wow!!";
    const [first, second] = [ClipTokenizer.fromFolder(folder), ClipTokenizer.fromFolder(`${folder}_2`)];
    expect(first.encode(text)).toEqual(ClipTokenizer.standard("clip_l").encode(text));
    expect(second.encode(text)).toEqual(ClipTokenizer.standard("clip_g").encode(text));
    expect([first.bos, first.eos, first.pad, first.size]).toEqual([49406, 49407, 49407, 49408]);
    expect(second.pad).toBe(0);
  });

  // Ids made with transformers 5.23.
  it.each([
    ["ΟΔΟΣ Σ", [138, 123, 138, 112, 138, 123, 139, 481, 139, 481]],
    ["<|ENDOFTEXT|>", [27, 347, 40786, 4160, 91, 285]],
    ["a <|EndOfText|> b", [320, 27, 347, 40786, 4160, 91, 285, 321]],
  ])("handles %s as the reference does", (text, ids) => {
    expect(ClipTokenizer.standard("clip_l").encode(text)).toEqual(ids);
  });

  it("encodes 100 kB of hostile text", () => {
    const tokenizer = ClipTokenizer.standard("clip_l");
    expect(tokenizer.encode("x".repeat(100_000)).length).toBeGreaterThan(10_000);
    expect(tokenizer.encode(" ".repeat(100_000))).toEqual([]);
    expect(tokenizer.encode("!(".repeat(50_000)).length).toBeGreaterThan(1000);
    expect(tokenizer.encode("\ud800").length).toBeGreaterThan(0);
  });

  it("frames to 77 ids and cuts what is too much", () => {
    const tokenizer = ClipTokenizer.standard("clip_g");
    expect(tokenizer.frame([])).toEqual([49406, 49407, ...new Array<number>(75).fill(0)]);
    const full = tokenizer.frame(new Array<number>(200).fill(5));
    expect(full).toHaveLength(WINDOW_LENGTH);
    expect([full[75], full[76]]).toEqual([5, 49407]);
  });

  it("refuses a prompt that is too long, by name", () => {
    expect(() => checkPromptLength("a".repeat(MAX_PROMPT_CHARACTERS), "prompt")).not.toThrow();
    expect(() => checkPromptLength("a".repeat(MAX_PROMPT_CHARACTERS + 1), "prompt")).toThrow(
      expect.objectContaining({ code: "invalid_request", subject: "prompt" }),
    );
  });
});

describe("readTokenizerFolder", () => {
  let folder = "";
  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), "kiln-tokenizer-")), "tokenizer");
    mkdirSync(folder);
  });
  afterEach(() => rmSync(dirname(folder), { recursive: true, force: true }));

  const vocab = { "a</w>": 0, b: 1, "b</w>": 2, a: 3, "ab</w>": 4, "<|startoftext|>": 5, "<|endoftext|>": 6, "!": 7 };
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), typeof value === "string" ? value : JSON.stringify(value));

  it("reads a vocabulary of another size, and CRLF merges", () => {
    write("vocab.json", vocab);
    write("merges.txt", "#version: 0.2\r\na b</w>\r\n");
    const tokenizer = ClipTokenizer.fromFolder(folder);
    expect(tokenizer.encode("AB b a")).toEqual([4, 2, 0]);
    expect([tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.size]).toEqual([5, 6, 6, 8]);
  });

  it("finds a normalized special token in capitals, as its list says", () => {
    write("vocab.json", vocab);
    write("merges.txt", "#version: 0.2\na b</w>\n");
    write("tokenizer_config.json", {
      pad_token: "!",
      added_tokens_decoder: { 6: { content: "<|endoftext|>", normalized: true, special: true } },
    });
    const tokenizer = ClipTokenizer.fromFolder(folder);
    expect(tokenizer.encode("ab <|ENDOFTEXT|> ab!")).toEqual([4, 6, 4, 7]);
    expect(tokenizer.pad).toBe(7);
  });

  it("reads the tokens that training added", () => {
    write("vocab.json", vocab);
    write("merges.txt", "a b</w>");
    write("added_tokens.json", { "<kiln>": 8 });
    const tokenizer = ClipTokenizer.fromFolder(folder);
    expect(tokenizer.encode("ab<Kiln>a")).toEqual([4, 8, 0]);
    expect(tokenizer.size).toBe(9);
  });

  it("prefers tokenizer.json, with merges as pairs", () => {
    write("tokenizer.json", {
      added_tokens: [{ id: 8, content: "<kiln>", special: true }],
      model: { vocab, merges: [["a", "b</w>"]] },
    });
    expect(ClipTokenizer.fromFolder(folder).encode("ab<kiln>a")).toEqual([4, 8, 0]);
  });

  it.each<[string, () => void, string]>([
    ["an empty folder", () => undefined, "file_not_found"],
    ["a vocabulary that is not JSON", () => write("vocab.json", "{"), "file_corrupt"],
    ["a vocabulary that is a list", () => write("vocab.json", []), "file_corrupt"],
    ["ids that are no numbers", () => write("vocab.json", { ...vocab, b: "1" }), "file_corrupt"],
    ["a merge of three", () => write("merges.txt", "a b c"), "file_corrupt"],
    ["a special token that is not there", () => write("special_tokens_map.json", { pad_token: "<pad>" }), "file_corrupt"],
  ])("refuses %s", (name, spoil, code) => {
    if (name !== "an empty folder") {
      write("vocab.json", vocab);
      write("merges.txt", "a b</w>");
    }
    spoil();
    expect(() => ClipTokenizer.fromFolder(folder)).toThrow(expect.objectContaining({ code }));
  });
});
