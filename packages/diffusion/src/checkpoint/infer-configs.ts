import { KilnError } from "../errors.ts";
import type { Family } from "./family.ts";
import { indexesAfter } from "./layouts/renaming.ts";
import { planFromOurs } from "./layouts/unet-names.ts";
import type {
  ClipTextConfig,
  ControlNetConfig,
  TinyVaeConfig,
  UNetConfig,
  UNetEncoderConfig,
  VaeConfig,
} from "./model-configs.ts";
import { publishedVae } from "./published-vae.ts";
import type { Weights } from "./tensor-view.ts";

/** Widths by which a real network is known, and the head counts that its tensors do not tell. */
const FAMILIES: readonly { family: Family; channels: readonly number[]; crossAttentionDim: number; heads: readonly number[] }[] =
  [
    { family: "sdxl", channels: [320, 640, 1280], crossAttentionDim: 2048, heads: [5, 10, 20] },
    { family: "sdxl-refiner", channels: [384, 768, 1536, 1536], crossAttentionDim: 1280, heads: [6, 12, 24, 24] },
    { family: "sd15", channels: [320, 640, 1280, 1280], crossAttentionDim: 768, heads: [8, 8, 8, 8] },
  ];

/**
 * A UNet's configuration from the shapes of its tensors. The number of heads leaves no trace in a tensor, so it is
 * known for the real networks only.
 * @throws KilnError checkpoint_unknown where the shapes are none of theirs
 */
export function inferUNetConfig(weights: Weights, file: string): { family: Family; config: UNetConfig } {
  const { family, encoder } = inferEncoder(weights, file);
  const upBlockTypes = encoder.downBlockTypes
    .map((type) => (type === "DownBlock2D" ? "UpBlock2D" : "CrossAttnUpBlock2D"))
    .reverse();
  return { family, config: { ...encoder, outChannels: dim(weights, "conv_out.weight", 0) ?? 4, upBlockTypes } };
}

/** A ControlNet's configuration from the shapes of its tensors; errors as for `inferUNetConfig`. */
export function inferControlNetConfig(weights: Weights, file: string): { family: Family; config: ControlNetConfig } {
  const { family, encoder } = inferEncoder(weights, file);
  const prefix = "controlnet_cond_embedding.";
  // Block 2i keeps the width of level i, block 2i + 1 goes on to the next one's.
  const blocks = indexesAfter(weights.keys(), `${prefix}blocks.`).filter((index) => index % 2 === 1);
  const widths = [
    dim(weights, `${prefix}conv_in.weight`, 0),
    ...blocks.map((index) => dim(weights, `${prefix}blocks.${index}.weight`, 0)),
  ];
  const config = {
    ...encoder,
    conditioningChannels: dim(weights, `${prefix}conv_in.weight`, 1) ?? 3,
    conditioningEmbeddingOutChannels: widths.filter((width) => width !== undefined),
  };
  return { family, config };
}

function inferEncoder(weights: Weights, file: string): { family: Family; encoder: UNetEncoderConfig } {
  const { down } = planFromOurs(weights.keys());
  const blockOutChannels = down.map((_, i) => dim(weights, `down_blocks.${i}.resnets.0.conv1.weight`, 0) ?? 0);
  const crossAttentionDim = inferCrossAttentionDim(weights);
  const known = FAMILIES.find(
    (each) => each.crossAttentionDim === crossAttentionDim && sameNumbers(each.channels, blockOutChannels),
  );
  if (known === undefined) throw unknownShapes(file, blockOutChannels, crossAttentionDim);
  const addition = dim(weights, "add_embedding.linear_1.weight", 1);
  const layers = new Set(down.map((level) => level.resnets));
  if (layers.size !== 1) throw unsupported(file, "levels with different numbers of ResNets");
  const encoder: UNetEncoderConfig = {
    inChannels: dim(weights, "conv_in.weight", 1) ?? 4,
    blockOutChannels,
    layersPerBlock: down[0]?.resnets ?? 2,
    downBlockTypes: down.map((level) => (level.attention ? "CrossAttnDownBlock2D" : "DownBlock2D")),
    midBlockAttention: weights.has("mid_block.attentions.0.norm.weight"),
    attentionHeads: known.heads,
    transformerLayers: inferTransformerLayers(weights, down, file),
    crossAttentionDim: known.crossAttentionDim,
    useLinearProjection: weights.get("mid_block.attentions.0.proj_in.weight")?.shape.length === 2,
    additionEmbedType: addition === undefined ? null : "text_time",
    additionTimeEmbedDim: addition === undefined ? null : 256,
    projectionClassEmbeddingsInputDim: addition ?? null,
    timeCondProjDim: dim(weights, "time_embedding.cond_proj.weight", 1) ?? null,
    normNumGroups: 32,
    normEps: 1e-5,
    flipSinToCos: true,
    freqShift: 0,
  };
  return { family: known.family, encoder };
}

/** Counts the transformer blocks at each level; the innermost level shares its number with the middle. */
function inferTransformerLayers(
  weights: Weights,
  down: readonly { attention: boolean; resnets: number }[],
  file: string,
): readonly number[] {
  const names = [...weights.keys()].filter((name) => name.endsWith(".norm1.weight"));
  const blocks = (attention: string) => indexesAfter(names, `${attention}.transformer_blocks.`).length;
  const middle = blocks("mid_block.attentions.0");
  return down.map((level, i) => {
    if (!level.attention) return i === down.length - 1 ? Math.max(1, middle) : 1;
    const counts = new Set(Array.from({ length: level.resnets }, (_, j) => blocks(`down_blocks.${i}.attentions.${j}`)));
    const [first = 1] = counts;
    if (counts.size !== 1 || (i === down.length - 1 && middle !== first))
      throw unsupported(file, "attentions of different depths at one level (pruned models such as SSD-1B)");
    return first;
  });
}

function inferCrossAttentionDim(weights: Weights): number | undefined {
  for (const [name, view] of weights) if (name.endsWith(".attn2.to_k.weight")) return view.shape[1];
  return undefined;
}

/**
 * A VAE's configuration from the shapes of its tensors; scaling is the family's, as no tensor tells it.
 * @throws KilnError checkpoint_unknown where there is no VAE to be seen
 */
export function inferVaeConfig(weights: Weights, family: Family, file: string): VaeConfig {
  const levels = indexesAfter(weights.keys(), "decoder.up_blocks.");
  // The decoder's blocks run from the innermost out; their first ResNets make each level's width.
  const blockOutChannels = levels.map((i) => dim(weights, `decoder.up_blocks.${i}.resnets.0.conv1.weight`, 0) ?? 0).reverse();
  const resnets = indexesAfter(weights.keys(), "decoder.up_blocks.0.resnets.").length;
  const latentChannels = dim(weights, "decoder.conv_in.weight", 1);
  if (latentChannels === undefined || resnets < 2 || blockOutChannels.includes(0)) {
    throw new KilnError("checkpoint_unknown", `${file} holds no VAE that Kiln knows: name an AutoencoderKL in either layout.`, {
      subject: file,
    });
  }
  return {
    ...publishedVae(family),
    inChannels: dim(weights, "encoder.conv_in.weight", 1) ?? 3,
    outChannels: dim(weights, "decoder.conv_out.weight", 0) ?? 3,
    latentChannels,
    blockOutChannels,
    layersPerBlock: resnets - 1,
    midBlockAddAttention: weights.has("decoder.mid_block.attentions.0.to_q.weight"),
    useQuantConv: weights.has("quant_conv.weight"),
    usePostQuantConv: weights.has("post_quant_conv.weight"),
  };
}

/** Widths by which a real text encoder is known, with what its tensors do not tell. */
const TEXT_ENCODERS: readonly { hiddenSize: number; heads: number; activation: ClipTextConfig["activation"] }[] = [
  { hiddenSize: 768, heads: 12, activation: "quick_gelu" }, // OpenAI CLIP ViT-L/14
  { hiddenSize: 1280, heads: 20, activation: "gelu" }, // OpenCLIP ViT-bigG/14
];

/**
 * A text encoder's configuration from the shapes of its tensors.
 * @throws KilnError checkpoint_unknown where it is neither CLIP ViT-L/14 nor OpenCLIP ViT-bigG/14
 */
export function inferClipTextConfig(weights: Weights, file: string): ClipTextConfig {
  const token = weights.get("embeddings.token_embedding.weight")?.shape;
  const known = TEXT_ENCODERS.find(({ hiddenSize }) => hiddenSize === token?.[1]);
  if (token === undefined || known === undefined) {
    const message = `${file}: its text encoder of width ${token?.[1] ?? "unknown"} is none that Kiln knows, so its number of heads cannot be told: pass a config folder.`;
    throw new KilnError("checkpoint_unknown", message, { subject: file });
  }
  return {
    vocabSize: token[0] ?? 0,
    maxPositions: dim(weights, "embeddings.position_embedding.weight", 0) ?? 77,
    hiddenSize: known.hiddenSize,
    intermediateSize: dim(weights, "encoder.layers.0.mlp.fc1.weight", 0) ?? 4 * known.hiddenSize,
    layers: indexesAfter(weights.keys(), "encoder.layers.").length,
    heads: known.heads,
    activation: known.activation,
    layerNormEps: 1e-5,
    projectionDim: dim(weights, "text_projection.weight", 0) ?? null,
    eosTokenId: 2,
  };
}

/** A tiny autoencoder's configuration: groups of residual blocks are parted by single convolutions. */
export function inferTinyVaeConfig(weights: Weights, file: string): TinyVaeConfig {
  const decoder = blockGroups(weights, "decoder");
  const encoder = blockGroups(weights, "encoder");
  if (decoder.length === 0 && encoder.length === 0) {
    throw new KilnError("checkpoint_unknown", `${file} holds no tiny autoencoder that Kiln knows: name a TAESD file.`, {
      subject: file,
    });
  }
  const numDecoderBlocks = decoder.length > 0 ? decoder : encoder.toReversed();
  const numEncoderBlocks = encoder.length > 0 ? encoder : decoder.toReversed();
  return {
    inChannels: dim(weights, "encoder.layers.0.weight", 1) ?? 3,
    outChannels: 3,
    latentChannels: dim(weights, "decoder.layers.0.weight", 1) ?? 4,
    numEncoderBlocks,
    numDecoderBlocks,
  };
}

function blockGroups(weights: Weights, half: "encoder" | "decoder"): number[] {
  const groups: number[] = [];
  let size = 0;
  for (const index of indexesAfter(weights.keys(), `${half}.layers.`)) {
    if (weights.has(`${half}.layers.${index}.conv.0.weight`)) size++;
    else if (size > 0) {
      groups.push(size);
      size = 0;
    }
  }
  if (size > 0) groups.push(size);
  return groups;
}

function dim(weights: Weights, name: string, axis: number): number | undefined {
  return weights.get(name)?.shape[axis];
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function unknownShapes(file: string, channels: readonly number[], crossAttentionDim: number | undefined): KilnError {
  const shapes = `channels [${channels.join(", ")}] and text width ${crossAttentionDim ?? "unknown"}`;
  const message = `${file}: a UNet with ${shapes} is none that Kiln knows, and its number of attention heads cannot be told from its tensors: pass a config folder (a diffusers folder of the same model).`;
  return new KilnError("checkpoint_unknown", message, { subject: file });
}

function unsupported(file: string, what: string): KilnError {
  return new KilnError("file_unsupported", `${file}: Kiln's networks do not implement ${what}: use another model.`, {
    subject: file,
  });
}
