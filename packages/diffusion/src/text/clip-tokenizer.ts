import { Tokenizer } from "@huggingface/tokenizers";
import { KilnError } from "../errors.ts";
import type { ClipVocabulary } from "./clip-vocabulary.ts";
import { escapeForPattern } from "./escape-for-pattern.ts";
import { type StandardTokenizer, standardVocabulary } from "./standard-vocabulary.ts";
import { readTokenizerFolder } from "./tokenizer-folder.ts";

/** The positions that CLIP's text encoders are trained with: a first token, 75 of text, a last token. */
export const WINDOW_LENGTH = 77;
export const TOKENS_PER_WINDOW = WINDOW_LENGTH - 2;

/** The longest prompt that Kiln takes: some 40 windows of ordinary English, far beyond what a text encoder can use. */
export const MAX_PROMPT_CHARACTERS = 16_384;

/** Oniguruma's `\s`. JavaScript's differs from it at U+0085 and U+FEFF. */
const WHITESPACE = "[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const PUNCTUATION = `(?:(?!${WHITESPACE})[^\\p{L}\\p{N}])+`;
const WORDS = `'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|${PUNCTUATION}`;
const SPELT_SPECIALS = "<\\|startoftext\\|>|<\\|endoftext\\|>";

/**
 * CLIP's tokenizer: lower-cased byte-pair encoding with `</w>` at the end of a word (Radford et al. 2021,
 * arXiv 2103.00020, section 2.4), with the text clean-up of transformers' CLIPTokenizer.
 */
export class ClipTokenizer {
  readonly bos: number;
  readonly eos: number;
  readonly pad: number;
  /** One more than the largest id: the rows that an embedding table must have. */
  readonly size: number;
  readonly #library: Tokenizer;
  /** Special tokens that are matched in the raw text, by content; the library looks for the normalized ones itself. */
  readonly #raw: ReadonlyMap<string, number>;
  readonly #rawPattern: RegExp;

  constructor(vocabulary: ClipVocabulary) {
    this.bos = vocabulary.bos;
    this.eos = vocabulary.eos;
    this.pad = vocabulary.pad;
    let largest = 0;
    for (const id of vocabulary.tokens.values()) largest = Math.max(largest, id);
    for (const { id } of vocabulary.specialTokens) largest = Math.max(largest, id);
    this.size = largest + 1;
    // Kept from the library: it takes a text for a special token that only becomes one by lower-casing.
    this.#raw = new Map(vocabulary.specialTokens.filter((token) => !token.normalized).map((token) => [token.content, token.id]));
    this.#rawPattern = alternatives([...this.#raw.keys()]);
    this.#library = new Tokenizer(libraryConfig(vocabulary), {});
  }

  /**
   * The tokenizer of a diffusers folder.
   * @throws KilnError `file_not_found` or `file_corrupt`, see `readTokenizerFolder`.
   */
  static fromFolder(folder: string): ClipTokenizer {
    return new ClipTokenizer(readTokenizerFolder(folder));
  }

  /** CLIP's published tokenizer, for single files; each kind is built once and shared. */
  static standard(kind: StandardTokenizer): ClipTokenizer {
    const known = standardTokenizers.get(kind);
    if (known !== undefined) return known;
    const tokenizer = new ClipTokenizer(standardVocabulary(kind));
    standardTokenizers.set(kind, tokenizer);
    return tokenizer;
  }

  /** The ids of a text of any length, without first and last token. Special tokens spelt out in the text count as such. */
  encode(text: string): number[] {
    return text.split(this.#rawPattern).flatMap((part) => {
      const special = this.#raw.get(part);
      if (special !== undefined) return [special];
      return part === "" ? [] : this.#library.encode(part, { add_special_tokens: false }).ids;
    });
  }

  /** 77 ids: first token, at most 75 of `tokens` (the rest is cut off), last token, padding. */
  frame(tokens: readonly number[]): number[] {
    const ids = [this.bos, ...tokens.slice(0, TOKENS_PER_WINDOW), this.eos];
    while (ids.length < WINDOW_LENGTH) ids.push(this.pad);
    return ids;
  }
}

const standardTokenizers = new Map<StandardTokenizer, ClipTokenizer>();

/**
 * Refuses prompts over `MAX_PROMPT_CHARACTERS`.
 * @throws KilnError `invalid_request` that names `field`.
 */
export function checkPromptLength(text: string, field: string): void {
  if (text.length <= MAX_PROMPT_CHARACTERS) return;
  throw new KilnError(
    "invalid_request",
    `${field} has ${text.length} characters; shorten it to ${MAX_PROMPT_CHARACTERS} or fewer.`,
    { subject: field },
  );
}

/** A pattern that splits a text at any of `contents`, the longest first, and keeps what it splits at. */
function alternatives(contents: readonly string[]): RegExp {
  const escaped = [...contents].sort((a, b) => b.length - a.length).map(escapeForPattern);
  return escaped.length === 0 ? /(?!)/ : new RegExp(`(${escaped.join("|")})`);
}

/** CLIP's pipeline in the terms of `tokenizer.json`. */
function libraryConfig(vocabulary: ClipVocabulary): object {
  return {
    added_tokens: vocabulary.specialTokens
      .filter((token) => token.normalized)
      .map((token) => ({ ...token, special: true, single_word: false, lstrip: false, rstrip: false })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: `${WHITESPACE}+` }, content: " " },
        // JavaScript lower-cases a sigma at the end of a word to another letter; the reference maps each letter by itself.
        { type: "Replace", pattern: { String: "\u03a3" }, content: "\u03c3" },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: `${SPELT_SPECIALS}|${WORDS}` }, behavior: "Removed", invert: true },
        // The reference splits a second time, by GPT-2's pattern, which takes a special token in capitals apart into words.
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: null,
    model: {
      type: "BPE",
      unk_token: vocabulary.unknown,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.tokens),
      merges: vocabulary.merges,
    },
  };
}
