import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type ClipVocabulary, parseMerges, type SpecialToken } from "./clip-vocabulary.ts";

const MERGES = new URL("../../assets/clip-tokenizer/merges.txt.gz", import.meta.url);
const BOS = "<|startoftext|>";
const EOS = "<|endoftext|>";

/** Which of SDXL's two tokenizers: they share a vocabulary and differ in the token that fills a window. */
export type StandardTokenizer = "clip_l" | "clip_g";

/**
 * The vocabulary of OpenAI's CLIP, for checkpoints in a single file, which bring none.
 * `clip_l` pads with `<|endoftext|>`. `clip_g` pads with "!" (id 0), which makes every "!" of a prompt a token
 * of its own, as in the folder that Stability AI published.
 */
export function standardVocabulary(kind: StandardTokenizer): ClipVocabulary {
  const merges = parseMerges(gunzipSync(readFileSync(MERGES)).toString("utf8"));
  const tokens = rebuildTokens(merges);
  const id = (token: string): number => {
    const found = tokens.get(token);
    if (found === undefined) throw new RangeError(`the shipped vocabulary lacks ${token}`);
    return found;
  };
  const specialTokens: SpecialToken[] = [BOS, EOS].map((content) => ({ content, id: id(content), normalized: false }));
  if (kind === "clip_g") specialTokens.unshift({ content: "!", id: id("!"), normalized: false });
  return { tokens, merges, specialTokens, bos: id(BOS), eos: id(EOS), pad: kind === "clip_g" ? id("!") : id(EOS), unknown: EOS };
}

/** Bytes, bytes that end a word, merges, the two special tokens: the order of OpenAI's vocabulary. */
function rebuildTokens(merges: readonly string[]): Map<string, number> {
  const letters = byteLetters();
  const tokens = [
    ...letters,
    ...letters.map((letter) => `${letter}</w>`),
    ...merges.map((pair) => pair.replace(" ", "")),
    BOS,
    EOS,
  ];
  return new Map(tokens.map((token, id) => [token, id]));
}

/**
 * The letters that stand for the 256 bytes, in GPT-2's order: printable Latin-1 characters stand for themselves and
 * come first, the other bytes take the code points from 256 upwards.
 */
function byteLetters(): string[] {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const own = bytes.filter(printable).map((byte) => String.fromCodePoint(byte));
  const shifted = bytes.filter((byte) => !printable(byte)).map((_, index) => String.fromCodePoint(256 + index));
  return [...own, ...shifted];
}
