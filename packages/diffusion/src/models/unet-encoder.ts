import type { UNetEncoderConfig } from "../checkpoint/model-configs.ts";
import type { Value } from "../graph/graph.ts";
import { type NormOptions, resnet, spatialTransformer, type TransformerOptions } from "./blocks.ts";
import { conv2d, linear } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** The half that a UNet and its ControlNets share: the embeddings, the way down, the middle. */

/** What a UNet is told beside the noisy sample. */
export interface Conditioning {
  /** SiLU of the time (and size) embedding, [N, C]. */
  readonly embedding: Value;
  /** Text states, [N, T, C]. */
  readonly text: Value;
}

/**
 * Declares the conditioning inputs and embeds them.
 *
 * Inputs: `timestep_embedding` [N, C0] and, for SDXL, `addition` [N, pooled + 6 x 256]: sinusoids computed outside in float32
 * (`timestep-embedding.ts`), because reduced precision ruins them; `text` [N, T, C]; `guidance_embedding` [N, D] for
 * consistency-distilled networks.
 */
export function conditioning(s: Scope, config: UNetEncoderConfig): Conditioning {
  const { graph } = s;
  let sinusoid = graph.input("timestep_embedding", "float32", ["batch", config.blockOutChannels[0] ?? 0]);
  if (config.timeCondProjDim !== null) {
    const guidance = graph.input("guidance_embedding", "float32", ["batch", config.timeCondProjDim]);
    sinusoid = graph.add(sinusoid, linear(s.at("time_embedding.cond_proj"), guidance, { bias: "optional" }));
  }
  let embedding = twoLayers(s.at("time_embedding"), sinusoid);
  if (config.additionEmbedType === "text_time") {
    const addition = graph.input("addition", "float32", ["batch", config.projectionClassEmbeddingsInputDim ?? 0]);
    embedding = graph.add(embedding, twoLayers(s.at("add_embedding"), addition));
  }
  const text = graph.input("text", "float32", ["batch", "tokens", config.crossAttentionDim]);
  return { embedding: graph.silu(embedding), text };
}

function twoLayers(s: Scope, x: Value): Value {
  return linear(s.at("linear_2"), s.graph.silu(linear(s.at("linear_1"), x)));
}

/**
 * Every level of the way down. Returns what the way up will want: the image after `conv_in`,
 * after each ResNet (with its attention) and after each downsampling, in that order.
 */
export function wayDown(s: Scope, x: Value, given: Conditioning, config: UNetEncoderConfig): Value[] {
  const skips = [x];
  let h = x;
  const last = config.downBlockTypes.length - 1;
  for (const [level, type] of config.downBlockTypes.entries()) {
    const block = s.at(`down_blocks.${level}`);
    for (let i = 0; i < config.layersPerBlock; i++) {
      h = resnet(block.at(`resnets.${i}`), h, given.embedding, normOf(config));
      if (type === "CrossAttnDownBlock2D")
        h = spatialTransformer(block.at(`attentions.${i}`), h, given.text, transformerOf(config, level));
      skips.push(h);
    }
    if (level < last) {
      h = conv2d(block.at("downsamplers.0.conv"), h, { stride: 2, padding: 1 });
      skips.push(h);
    }
  }
  return skips;
}

/** ResNet, transformer, ResNet at the lowest resolution. */
export function middle(s: Scope, x: Value, given: Conditioning, config: UNetEncoderConfig): Value {
  const lowest = config.downBlockTypes.length - 1;
  let h = resnet(s.at("resnets.0"), x, given.embedding, normOf(config));
  if (config.midBlockAttention) h = spatialTransformer(s.at("attentions.0"), h, given.text, transformerOf(config, lowest));
  return resnet(s.at("resnets.1"), h, given.embedding, normOf(config));
}

export function normOf(config: UNetEncoderConfig): NormOptions {
  return { groups: config.normNumGroups, epsilon: config.normEps };
}

/** The transformer at a level, counted from the outermost. */
export function transformerOf(config: UNetEncoderConfig, level: number): TransformerOptions {
  return {
    layers: config.transformerLayers[level] ?? 1,
    heads: config.attentionHeads[level] ?? 1,
    groups: config.normNumGroups,
    linearProjection: config.useLinearProjection,
  };
}
