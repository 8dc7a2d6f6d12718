import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { EmbeddingEncoder } from "../checkpoint/embedding-file.ts";
import { KilnError } from "../errors.ts";
import { concatenate } from "../graph/tensor.ts";
import type { WeightedAdapter } from "../networks/adapter-stack.ts";
import type { NetworkCache } from "../networks/network-cache.ts";
import { TextEncoder } from "../networks/text-encoder.ts";
import { ClipTokenizer, WINDOW_LENGTH } from "../text/clip-tokenizer.ts";
import { type PromptWindow, padWindows, promptChunks, promptWindow } from "../text/prompt-chunks.ts";
import { PromptEmbeddings } from "../text/prompt-tokens.ts";
import { weightStates } from "../text/prompt-weights.ts";
import type { TextualInversion } from "../text/textual-inversion.ts";

/** `plain`: as diffusers takes a prompt. `a1111`: weights, BREAK and any length, as AUTOMATIC1111 does. */
export type PromptSyntax = "plain" | "a1111";

export interface PromptOptions {
  readonly syntax: PromptSyntax;
  readonly inversions: readonly TextualInversion[];
  readonly adapters: readonly WeightedAdapter[];
}

/** What the UNet is told of a prompt. */
export interface EncodedPrompt {
  /** [tokens, width], row-major: `WINDOW_LENGTH` tokens for each window. */
  readonly states: Float32Array;
  readonly windows: number;
  /** SDXL's pooled text; undefined for SD 1.5. */
  readonly pooled: Float32Array | undefined;
}

/** A prompt for each text encoder: SDXL can be told two. */
export interface PromptPair {
  readonly prompt: string;
  readonly prompt2: string;
  /** Blocks of the text encoders left out at the end, as diffusers counts: 0 none. */
  readonly clipSkip: number;
}

/** Encoded prompts that are kept: a batch and a few repetitions; each is at most a megabyte. */
const CACHED_PROMPTS = 32;

/** Turns prompts into what a checkpoint's UNet attends to. */
export class PromptEncoder {
  readonly #encoders: readonly Encoder[];
  readonly #pooling: boolean;
  readonly #cached = new Map<string, EncodedPrompt>();

  constructor(key: string, { family, configs, weights, tokenizers }: Checkpoint, cache: NetworkCache) {
    const encoders: Encoder[] = [];
    if (configs.textEncoder && weights.textEncoder) {
      const network = new TextEncoder(`${key} text encoder`, "text_encoder", configs.textEncoder, weights.textEncoder, cache);
      encoders.push({ kind: "clip_l", network, tokenizer: tokenizerOf("clip_l", tokenizers.tokenizer) });
    }
    if (configs.textEncoder2 && weights.textEncoder2) {
      const network = new TextEncoder(
        `${key} text encoder 2`,
        "text_encoder_2",
        configs.textEncoder2,
        weights.textEncoder2,
        cache,
      );
      encoders.push({ kind: "clip_g", network, tokenizer: tokenizerOf("clip_g", tokenizers.tokenizer2) });
    }
    this.#encoders = encoders;
    this.#pooling = family !== "sd15";
  }

  /** Width of the states, and of the pooled text (0 where there is none). */
  get widths(): { states: number; pooled: number } {
    const pooled = this.#encoders.at(-1)?.network.config;
    return {
      states: this.#encoders.reduce((sum, { network }) => sum + network.config.hiddenSize, 0),
      pooled: this.#pooling && pooled ? (pooled.projectionDim ?? pooled.hiddenSize) : 0,
    };
  }

  /**
   * Encodes prompts that will stand in one batch: all get the same number of windows.
   * @throws KilnError invalid_request for prompts that are too long.
   */
  async encode(pairs: readonly PromptPair[], options: PromptOptions): Promise<EncodedPrompt[]> {
    const perEncoder = this.#encoders.map((encoder) => {
      const embeddings =
        options.inversions.length === 0
          ? undefined
          : new PromptEmbeddings(options.inversions, encoder.kind, encoder.network.table.width);
      return pairs.map((pair) =>
        windowsOf(encoder, encoder.kind === "clip_g" ? pair.prompt2 : pair.prompt, options.syntax, embeddings),
      );
    });
    const count = Math.max(...perEncoder.flat().map((windows) => windows.length));
    const padded = perEncoder.map((prompts, e) => prompts.map((windows) => padWindows(this.#at(e).tokenizer, windows, count)));
    const encoded: EncodedPrompt[] = [];
    for (const [index, { clipSkip }] of pairs.entries())
      encoded.push(
        await this.#encodeOne(
          padded.map((prompts) => prompts[index] ?? []),
          clipSkip,
          options,
        ),
      );
    return encoded;
  }

  /** Zeros in the shape of an encoded prompt: SDXL's answer to a negative prompt that is not given. */
  zeros(windows: number): EncodedPrompt {
    const { states, pooled } = this.widths;
    return {
      states: new Float32Array(windows * WINDOW_LENGTH * states),
      windows,
      pooled: this.#pooling ? new Float32Array(pooled) : undefined,
    };
  }

  async #encodeOne(
    windows: readonly (readonly PromptWindow[])[],
    clipSkip: number,
    options: PromptOptions,
  ): Promise<EncodedPrompt> {
    const key = cacheKey(windows, clipSkip, options);
    const known = this.#cached.get(key);
    if (known) return known;
    const parts: { states: Float32Array; width: number }[] = [];
    let pooled: Float32Array | undefined;
    for (const [e, own] of windows.entries()) {
      const { network } = this.#at(e);
      const rows = await network.encode(own, {
        ...this.#layerOf(network, clipSkip),
        adapters: options.adapters,
        poolAt: options.syntax === "plain" ? "inversion" : "end of text",
      });
      const states = rows.map((row, i) => weightStates(row.states, own[i]?.weights ?? []));
      parts.push({ states: concatenate(...states), width: network.config.hiddenSize });
      pooled = rows[0]?.pooled;
    }
    const encoded = { states: sideBySide(parts), windows: windows[0]?.length ?? 0, pooled: this.#pooling ? pooled : undefined };
    this.#cached.set(key, encoded);
    const [oldest] = this.#cached.keys();
    if (this.#cached.size > CACHED_PROMPTS && oldest !== undefined) this.#cached.delete(oldest);
    return encoded;
  }

  /** SDXL reads the states before the last block, unnormed; SD 1.5 those after it, normed. Clip skip counts from there. */
  #layerOf({ config }: TextEncoder, clipSkip: number): { layer: number; normed: boolean } {
    const layer = config.layers - clipSkip - (this.#pooling ? 1 : 0);
    if (layer < 0) {
      throw new KilnError(
        "invalid_request",
        `clipSkip ${clipSkip} leaves nothing of a text encoder of ${config.layers} layers.`,
        { subject: "clipSkip" },
      );
    }
    return { layer, normed: !this.#pooling };
  }

  #at(index: number): Encoder {
    const encoder = this.#encoders[index];
    if (!encoder) throw new Error(`there is no text encoder ${index}`);
    return encoder;
  }
}

interface Encoder {
  readonly kind: EmbeddingEncoder;
  readonly network: TextEncoder;
  readonly tokenizer: ClipTokenizer;
}

function tokenizerOf(kind: "clip_l" | "clip_g", folder: string | undefined): ClipTokenizer {
  return folder === undefined ? ClipTokenizer.standard(kind) : ClipTokenizer.fromFolder(folder);
}

function windowsOf(
  { tokenizer }: Encoder,
  text: string,
  syntax: PromptSyntax,
  embeddings: PromptEmbeddings | undefined,
): PromptWindow[] {
  if (syntax === "plain") return [promptWindow(tokenizer, text, embeddings)];
  return promptChunks(tokenizer, text, embeddings);
}

/** Everything that the result depends on; textual inversions by their numbers. */
function cacheKey(windows: readonly (readonly PromptWindow[])[], clipSkip: number, { adapters, syntax }: PromptOptions): string {
  const texts = windows.map((own) =>
    own.map(({ ids, weights, vectors }) => [ids, weights, [...vectors].map(([at, vector]) => [at, ...vector])]),
  );
  return JSON.stringify([syntax, clipSkip, adapters.map(({ adapter, weight }) => [adapter.path, weight]), texts]);
}

/** [tokens, width] of each encoder to [tokens, all widths]. */
function sideBySide(parts: readonly { states: Float32Array; width: number }[]): Float32Array {
  const total = parts.reduce((sum, { width }) => sum + width, 0);
  const tokens = (parts[0]?.states.length ?? 0) / (parts[0]?.width ?? 1);
  const result = new Float32Array(tokens * total);
  let column = 0;
  for (const { states, width } of parts) {
    for (let t = 0; t < tokens; t++) result.set(states.subarray(t * width, (t + 1) * width), t * total + column);
    column += width;
  }
  return result;
}
