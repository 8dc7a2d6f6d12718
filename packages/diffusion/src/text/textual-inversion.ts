import { type EmbeddingEncoder, findVectors } from "../checkpoint/embedding-file.ts";
import { KilnError } from "../errors.ts";
import { TOKENS_PER_WINDOW } from "./clip-tokenizer.ts";

/** A learnt embedding (Gal et al. 2022, arXiv 2208.01618): vectors that stand in a prompt in the place of token rows. */
export interface TextualInversion {
  /** What calls it in a prompt: the file's base name, and the token where the file or the caller names one. */
  readonly names: readonly string[];
  /** For each text encoder, vectors of its width. */
  readonly vectors: ReadonlyMap<EmbeddingEncoder, readonly Float32Array[]>;
}

/** A tensor of an embedding file, already turned into float32. */
export interface EmbeddingTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** All vectors of one embedding share a window of 75 tokens, so more could never be used. */
export const MAX_EMBEDDING_VECTORS = TOKENS_PER_WINDOW;

/**
 * Reads an embedding from the tensors of its file: `clip_l` and `clip_g` for SDXL, `emb_params` or one tensor under
 * its token's name for SD 1.5; each [vectors, width] or [width].
 *
 * @param baseName the file's name without folder and ending
 * @param token a name of the caller's choice
 * @throws KilnError `file_unsupported` where no tensor is an embedding, `file_corrupt` where the shape or a number is wrong.
 */
export function parseTextualInversion(
  tensors: ReadonlyMap<string, EmbeddingTensor>,
  baseName: string,
  token?: string,
): TextualInversion {
  const { keys, tokens } = findVectors([...tensors.keys()]);
  const names = new Set([...(token === undefined ? [] : [token]), baseName, ...tokens]);
  const vectors = new Map<EmbeddingEncoder, readonly Float32Array[]>();
  for (const [encoder, key] of keys) {
    const tensor = tensors.get(key);
    if (tensor !== undefined) vectors.set(encoder, rowsOf(tensor, key, baseName));
  }
  if (vectors.size > 0) return { names: [...names].filter((name) => name.trim() !== ""), vectors };
  throw new KilnError(
    "file_unsupported",
    `The embedding ${baseName} has neither clip_l and clip_g nor emb_params nor a single tensor; use a textual inversion for SDXL or SD 1.5.`,
    { subject: baseName },
  );
}

function rowsOf(tensor: EmbeddingTensor, key: string, file: string): Float32Array[] {
  const [count, width] = tensor.shape.length === 1 ? [1, tensor.shape[0]] : tensor.shape;
  const corrupt = (fault: string) =>
    new KilnError("file_corrupt", `The tensor ${key} of the embedding ${file} ${fault}; use another file.`, { subject: file });
  if (
    count === undefined ||
    width === undefined ||
    tensor.shape.length > 2 ||
    count * width !== tensor.data.length ||
    width === 0
  )
    throw corrupt(`has the shape [${tensor.shape.join(", ")}] instead of [vectors, width]`);
  if (count < 1 || count > MAX_EMBEDDING_VECTORS) throw corrupt(`has ${count} vectors instead of 1 to ${MAX_EMBEDDING_VECTORS}`);
  if (!tensor.data.every(Number.isFinite)) throw corrupt("holds NaN or infinity");
  return Array.from({ length: count }, (_, row) => tensor.data.slice(row * width, (row + 1) * width));
}

/**
 * The vectors of an embedding for one text encoder.
 * @param width the width of that encoder's token embedding
 * @throws KilnError `adapter_mismatch` where the embedding was made for other text encoders.
 */
export function embeddingVectors(inversion: TextualInversion, encoder: EmbeddingEncoder, width: number): readonly Float32Array[] {
  const name = inversion.names[0] ?? "";
  const vectors = inversion.vectors.get(encoder);
  const found = vectors?.[0]?.length;
  if (vectors !== undefined && found === width) return vectors;
  const fault =
    found === undefined ? `has no vectors for the text encoder ${encoder}` : `is ${found} wide where ${encoder} is ${width}`;
  throw new KilnError(
    "adapter_mismatch",
    `The embedding ${name} ${fault}; use one that was made for this checkpoint's architecture.`,
    {
      subject: name,
    },
  );
}
