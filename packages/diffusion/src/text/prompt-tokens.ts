import type { EmbeddingEncoder } from "../checkpoint/embedding-file.ts";
import type { ClipTokenizer } from "./clip-tokenizer.ts";
import { escapeForPattern } from "./escape-for-pattern.ts";
import { embeddingVectors, type TextualInversion } from "./textual-inversion.ts";

/** The vectors of one textual inversion, in the place of as many tokens. */
export interface EmbeddingToken {
  readonly vectors: readonly Float32Array[];
}

/** A row of the embedding table by its id, or the vectors of a textual inversion. */
export type TextToken = number | EmbeddingToken;

/** The textual inversions of a request as one text encoder sees them. */
export class PromptEmbeddings {
  readonly #tokens = new Map<string, EmbeddingToken>();
  readonly #pattern: RegExp;

  /**
   * @param width the width of the encoder's token embedding
   * @throws KilnError `adapter_mismatch` where an embedding was made for other text encoders.
   */
  constructor(inversions: readonly TextualInversion[], encoder: EmbeddingEncoder, width: number) {
    for (const inversion of inversions) {
      const token = { vectors: embeddingVectors(inversion, encoder, width) };
      for (const name of inversion.names) this.#tokens.set(name.toLowerCase(), token);
    }
    this.#pattern = namePattern([...this.#tokens.keys()]);
  }

  /** The text in pieces: what is to be tokenized, and the embeddings that it names. Capitals do not matter, the longest name wins. */
  split(text: string): (string | EmbeddingToken)[] {
    return text
      .split(this.#pattern)
      .map((piece, index) => (index % 2 === 1 ? (this.#tokens.get(piece.toLowerCase()) ?? piece) : piece));
  }
}

/**
 * Matches any of `names`, but not inside a longer word: AUTOMATIC1111 compares token by token, and a run of letters
 * is at least one token. Digits and signs are tokens of their own, so nothing is asked of them.
 */
function namePattern(names: readonly string[]): RegExp {
  const alternatives = [...names]
    .sort((a, b) => b.length - a.length)
    .map((name) => {
      const escaped = escapeForPattern(name);
      return `${/^\p{L}/u.test(name) ? "(?<!\\p{L})" : ""}${escaped}${/\p{L}$/u.test(name) ? "(?!\\p{L})" : ""}`;
    });
  return alternatives.length === 0 ? /((?!))/ : new RegExp(`(${alternatives.join("|")})`, "iu");
}

/** Whether a text calls an embedding by one of its names, as encoding it would find. */
export function mentionsEmbedding(text: string, names: readonly string[]): boolean {
  return namePattern(names.filter((name) => name.trim() !== "")).test(text);
}

/** The tokens of a text without frame; names of `embeddings` become their vectors. */
export function tokenizeText(tokenizer: ClipTokenizer, text: string, embeddings?: PromptEmbeddings): TextToken[] {
  if (embeddings === undefined) return tokenizer.encode(text);
  return embeddings.split(text).flatMap((piece): TextToken[] => (typeof piece === "string" ? tokenizer.encode(piece) : [piece]));
}
