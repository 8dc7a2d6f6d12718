import { KilnError } from "../errors.ts";
import { type ClipTokenizer, TOKENS_PER_WINDOW, WINDOW_LENGTH } from "./clip-tokenizer.ts";
import { isBreak, parsePromptAttention } from "./prompt-attention.ts";
import { type PromptEmbeddings, type TextToken, tokenizeText } from "./prompt-tokens.ts";

/** One input of a text encoder: 77 positions. */
export interface PromptWindow {
  /** 77 token ids: first, text, last, padding. Where `vectors` has an entry the id is 0 and counts for nothing. */
  readonly ids: readonly number[];
  /** 77 weights for the encoder's states; 1 on the frame. */
  readonly weights: readonly number[];
  /** Vectors of textual inversions by position, in the place of the embedding table's rows. */
  readonly vectors: ReadonlyMap<number, Float32Array>;
}

/** AUTOMATIC1111's default for how many tokens back a full chunk may be cut at a comma. */
const COMMA_BACKTRACK = 20;

/** 64 windows are 4,800 tokens, and every one costs two text encoder runs and 77 more keys in each cross-attention. */
export const MAX_PROMPT_CHUNKS = 64;

interface Position {
  readonly id: number;
  readonly weight: number;
  readonly vector?: Float32Array;
}

/** A plain prompt as diffusers takes it: no grammar, one window, what does not fit is cut off. */
export function promptWindow(tokenizer: ClipTokenizer, text: string, embeddings?: PromptEmbeddings): PromptWindow {
  const positions = tokenizeText(tokenizer, text, embeddings).flatMap((token) => positionsOf(token, 1));
  return frame(tokenizer, positions.slice(0, TOKENS_PER_WINDOW));
}

/**
 * A prompt in AUTOMATIC1111's grammar, of any length, in chunks of 75 tokens. A chunk that overflows is cut after its
 * last comma where that is at most 20 tokens back; BREAK ends a chunk; an embedding is never cut in two.
 *
 * @returns at least one window
 * @throws KilnError `invalid_request` for more than `MAX_PROMPT_CHUNKS` chunks
 */
export function promptChunks(tokenizer: ClipTokenizer, text: string, embeddings?: PromptEmbeddings): PromptWindow[] {
  const chunker = new Chunker(tokenizer);
  for (const part of parsePromptAttention(text)) {
    if (isBreak(part)) chunker.close();
    else for (const token of tokenizeText(tokenizer, part.text, embeddings)) chunker.add(token, part.weight);
  }
  return chunker.finish();
}

/**
 * Appends windows of the empty prompt until there are `count`, as AUTOMATIC1111 does for prompts of one batch and, by
 * its option `pad_cond_uncond`, for the negative prompt beside the positive one.
 */
export function padWindows(tokenizer: ClipTokenizer, windows: readonly PromptWindow[], count: number): PromptWindow[] {
  const padded = [...windows];
  while (padded.length < count) padded.push(frame(tokenizer, []));
  return padded;
}

/** Collects tokens into chunks; the state is AUTOMATIC1111's (`modules/sd_hijack_clip.py`, `tokenize_line`). */
class Chunker {
  readonly #tokenizer: ClipTokenizer;
  readonly #comma: number | undefined;
  readonly #done: PromptWindow[] = [];
  #open: Position[] = [];
  /** Position of the last comma in the open chunk, or -1. */
  #lastComma = -1;

  constructor(tokenizer: ClipTokenizer) {
    this.#tokenizer = tokenizer;
    this.#comma = tokenizer.encode("a,").at(-1);
  }

  add(token: TextToken, weight: number): void {
    const positions = positionsOf(token, weight);
    if (token === this.#comma) this.#lastComma = this.#open.length;
    else if (this.#open.length === TOKENS_PER_WINDOW && this.#lastComma !== -1) this.#cutAtComma();
    if (this.#open.length + positions.length > TOKENS_PER_WINDOW) this.close();
    this.#open.push(...positions);
  }

  /** Ends the chunk after its last comma and begins the next with what followed. */
  #cutAtComma(): void {
    if (this.#open.length - this.#lastComma > COMMA_BACKTRACK) return;
    const rest = this.#open.splice(this.#lastComma + 1);
    this.close();
    this.#open = rest;
  }

  close(): void {
    if (this.#done.length >= MAX_PROMPT_CHUNKS) {
      const limit = `${MAX_PROMPT_CHUNKS} chunks of ${TOKENS_PER_WINDOW} tokens`;
      throw new KilnError("invalid_request", `The prompt fills more than ${limit}; shorten it.`, { subject: "prompt" });
    }
    this.#done.push(frame(this.#tokenizer, this.#open));
    this.#open = [];
    this.#lastComma = -1;
  }

  finish(): PromptWindow[] {
    if (this.#open.length > 0 || this.#done.length === 0) this.close();
    return this.#done;
  }
}

function positionsOf(token: TextToken, weight: number): Position[] {
  return typeof token === "number" ? [{ id: token, weight }] : token.vectors.map((vector) => ({ id: 0, weight, vector }));
}

function frame(tokenizer: ClipTokenizer, positions: readonly Position[]): PromptWindow {
  const weights = [1, ...positions.map(({ weight }) => weight)];
  while (weights.length < WINDOW_LENGTH) weights.push(1);
  const vectors = new Map<number, Float32Array>();
  for (const [index, { vector }] of positions.entries()) if (vector !== undefined) vectors.set(index + 1, vector);
  return { ids: tokenizer.frame(positions.map(({ id }) => id)), weights, vectors };
}
