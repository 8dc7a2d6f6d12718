import type { Value } from "../graph/graph.ts";
import { type Bias, conv2d, groupNorm, layerNorm, linear } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** The blocks that UNets, ControlNets and autoencoders share. Images are [N, C, H, W], tokens [N, T, C]. */

export interface NormOptions {
  readonly groups: number;
  readonly epsilon: number;
}

/** Epsilon of the GroupNorm in front of a transformer, whatever the network's own is. */
const TRANSFORMER_NORM_EPSILON = 1e-6;

/**
 * Two convolutions with a residual (He et al., arXiv 1512.03385, in the pre-activation form of diffusion UNets).
 * `embedding` [N, C] is SiLU's output of the time embedding; autoencoders have none.
 */
export function resnet(s: Scope, x: Value, embedding: Value | undefined, norm: NormOptions): Value {
  const { graph } = s;
  let h = conv2d(s.at("conv1"), groupNorm(s.at("norm1"), x, { ...norm, silu: true }));
  if (embedding) h = graph.add(h, graph.spread(linear(s.at("time_emb_proj"), embedding)));
  h = conv2d(s.at("conv2"), groupNorm(s.at("norm2"), h, { ...norm, silu: true }));
  const shortcut = x.channels !== h.channels || s.has("conv_shortcut.weight");
  return graph.add(shortcut ? conv2d(s.at("conv_shortcut"), x) : x, h);
}

/**
 * Multi-head attention of tokens `x` over `context` (Vaswani et al., arXiv 1706.03762).
 * @param bias of queries, keys and values: autoencoders have them, published UNets do not.
 */
export function attention(s: Scope, x: Value, context: Value, { heads, bias }: { heads: number; bias: Bias }): Value {
  const query = linear(s.at("to_q"), x, { bias });
  const [key, value] = [linear(s.at("to_k"), context, { bias }), linear(s.at("to_v"), context, { bias })];
  return linear(s.at("to_out.0"), s.graph.attention(query, key, value, { heads, causal: false }));
}

/** Self-attention, attention over the text, feed-forward, each with a residual. */
function transformerBlock(s: Scope, x: Value, text: Value, heads: number): Value {
  const { graph } = s;
  const own = layerNorm(s.at("norm1"), x);
  const options = { heads, bias: "optional" } as const;
  let h = graph.add(x, attention(s.at("attn1"), own, own, options));
  h = graph.add(h, attention(s.at("attn2"), layerNorm(s.at("norm2"), h), text, options));
  const hidden = graph.geglu(linear(s.at("ff.net.0.proj"), layerNorm(s.at("norm3"), h)));
  return graph.add(h, linear(s.at("ff.net.2"), hidden));
}

export interface TransformerOptions {
  readonly layers: number;
  readonly heads: number;
  readonly groups: number;
  /** Whether `proj_in` and `proj_out` work on tokens (SDXL) or are 1x1 convolutions on the image (SD 1.5). */
  readonly linearProjection: boolean;
}

/** The spatial transformer of latent diffusion (Rombach et al., arXiv 2112.10752, section 3.3). */
export function spatialTransformer(s: Scope, x: Value, text: Value, options: TransformerOptions): Value {
  const { graph } = s;
  const normed = groupNorm(s.at("norm"), x, { groups: options.groups, epsilon: TRANSFORMER_NORM_EPSILON });
  let h = options.linearProjection
    ? linear(s.at("proj_in"), graph.imageToTokens(normed))
    : graph.imageToTokens(conv2d(s.at("proj_in"), normed));
  for (let i = 0; i < options.layers; i++) h = transformerBlock(s.at(`transformer_blocks.${i}`), h, text, options.heads);
  const image = options.linearProjection
    ? graph.tokensToImage(linear(s.at("proj_out"), h), x)
    : conv2d(s.at("proj_out"), graph.tokensToImage(h, x));
  return graph.add(x, image);
}
