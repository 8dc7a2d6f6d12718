/** The text encoders that an embedding can have vectors for: CLIP ViT-L (also SD 1.5's) and OpenCLIP bigG. */
export type EmbeddingEncoder = "clip_l" | "clip_g";

const ENCODER_OF_KEY: ReadonlyMap<string, EmbeddingEncoder> = new Map([
  ["clip_l", "clip_l"],
  ["clip_g", "clip_g"],
  // As diffusers' SDXL training scripts write them.
  ["text_encoders_0", "clip_l"],
  ["text_encoders_1", "clip_g"],
]);

/** Which tensors of a file hold vectors for which encoder, and the tokens that the file itself names. Empty where it is no embedding. */
export function findVectors(names: readonly string[]): { keys: Map<EmbeddingEncoder, string>; tokens: string[] } {
  const keys = new Map<EmbeddingEncoder, string>();
  for (const name of names) {
    const encoder = ENCODER_OF_KEY.get(name);
    if (encoder !== undefined) keys.set(encoder, name);
  }
  const [only] = names;
  if (keys.size > 0 || only === undefined) return { keys, tokens: [] };
  if (names.includes("emb_params")) return { keys: new Map([["clip_l", "emb_params"]]), tokens: [] };
  if (names.length > 1) return { keys, tokens: [] };
  return { keys: new Map([["clip_l", only]]), tokens: [only] };
}

/** What the names and shapes of an embedding file's tensors say. */
export interface EmbeddingSummary {
  /** What calls it beside the file's name. */
  readonly tokens: readonly string[];
  readonly vectors: number;
  /** Of its vectors, by text encoder: both for SDXL, `clip_l` alone for SD 1.5. */
  readonly widths: Readonly<Partial<Record<EmbeddingEncoder, number>>>;
}

/** Describes an embedding without reading it; undefined where the tensors are none. */
export function summarizeEmbedding(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): EmbeddingSummary | undefined {
  const { keys, tokens } = findVectors([...tensors.keys()]);
  const shapes = [...keys].map(([encoder, key]) => [encoder, tensors.get(key)?.shape ?? []] as const);
  const [first] = shapes;
  if (!first) return undefined;
  const widths = Object.fromEntries(shapes.map(([encoder, shape]) => [encoder, shape.at(-1) ?? 0]));
  return { tokens, vectors: first[1].length > 1 ? (first[1][0] ?? 0) : 1, widths };
}
