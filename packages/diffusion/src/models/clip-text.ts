import type { ClipTextConfig } from "../checkpoint/model-configs.ts";
import type { Value } from "../graph/graph.ts";
import { layerNorm, linear } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** The output that holds the states after `layer` blocks (0: the embeddings themselves), as they are or after the final norm. */
export function hiddenStateName(layer: number, normed: boolean): string {
  return `${normed ? "normed" : "hidden"}.${layer}`;
}

/**
 * CLIP's text transformer (Radford et al., arXiv 2103.00020), OpenAI's and OpenCLIP's.
 *
 * Inputs: `token_embeddings` [N, T, C], rows of the vocabulary's table looked up outside (`text/embedding-table.ts`);
 * `end_token` int64 [N], where the pooled output is taken.
 * Outputs: `hidden.K` [N, T, C] for K = 0 .. layers, the states after K blocks, and `normed.K`, the same after the final norm;
 * `pooled` [N, projection], the normed state at the end token, projected where the network has a projection.
 */
export function clipText(s: Scope, config: ClipTextConfig): void {
  const { graph } = s;
  const embeddings = graph.input("token_embeddings", "float32", ["batch", "tokens", config.hiddenSize]);
  const endToken = graph.input("end_token", "int64", ["batch"]);

  let h = graph.add(embeddings, s.weight("embeddings.position_embedding.weight", [config.maxPositions, config.hiddenSize]));
  let last = h;
  for (let layer = 0; layer <= config.layers; layer++) {
    if (layer > 0) h = encoderLayer(s.at(`encoder.layers.${layer - 1}`), h, config);
    last = layerNorm(s.at("final_layer_norm"), h, config.layerNormEps);
    graph.output(hiddenStateName(layer, false), h);
    graph.output(hiddenStateName(layer, true), last);
  }
  const end = graph.pickToken(last, endToken);
  graph.output("pooled", s.has("text_projection.weight") ? linear(s.at("text_projection"), end, { bias: "optional" }) : end);
}

function encoderLayer(s: Scope, x: Value, config: ClipTextConfig): Value {
  const { graph } = s;
  const normed = layerNorm(s.at("layer_norm1"), x, config.layerNormEps);
  const query = linear(s.at("self_attn.q_proj"), normed);
  const key = linear(s.at("self_attn.k_proj"), normed);
  const value = linear(s.at("self_attn.v_proj"), normed);
  const attended = graph.attention(query, key, value, { heads: config.heads, causal: true });
  const h = graph.add(x, linear(s.at("self_attn.out_proj"), attended));
  const hidden = linear(s.at("mlp.fc1"), layerNorm(s.at("layer_norm2"), h, config.layerNormEps));
  const active = config.activation === "gelu" ? graph.gelu(hidden) : graph.quickGelu(hidden);
  return graph.add(h, linear(s.at("mlp.fc2"), active));
}
