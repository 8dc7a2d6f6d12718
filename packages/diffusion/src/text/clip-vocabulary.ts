/** A token that is matched in the raw text before byte-pair encoding, such as `<|endoftext|>`. */
export interface SpecialToken {
  readonly content: string;
  readonly id: number;
  /** True where the token is looked for after normalisation, so that its upper-case spelling counts too. */
  readonly normalized: boolean;
}

/** Everything that one CLIP tokenizer is made of. */
export interface ClipVocabulary {
  /** Token text to id. A token that ends a word carries the suffix `</w>`. */
  readonly tokens: ReadonlyMap<string, number>;
  /** Pairs "left right" in the order of their rank. */
  readonly merges: readonly string[];
  readonly specialTokens: readonly SpecialToken[];
  readonly bos: number;
  readonly eos: number;
  readonly pad: number;
  /** The text of the token that stands for what the vocabulary lacks. */
  readonly unknown: string;
}

/** The lines of a `merges.txt` without its version line and empty lines. */
export function parseMerges(text: string): string[] {
  return text.split(/\r?\n/).filter((line, index) => line !== "" && !(index === 0 && line.startsWith("#version")));
}
