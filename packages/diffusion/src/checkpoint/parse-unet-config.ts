import { ConfigReader } from "./config-reader.ts";
import type { JsonObject } from "./json.ts";
import type { ControlNetConfig, DownBlockType, UNetConfig, UNetEncoderConfig, UpBlockType } from "./model-configs.ts";

const DOWN_BLOCKS: readonly DownBlockType[] = ["DownBlock2D", "CrossAttnDownBlock2D"];
const UP_BLOCKS: readonly UpBlockType[] = ["UpBlock2D", "CrossAttnUpBlock2D"];

/** Fields of UNet2DConditionModel and ControlNetModel that our networks do not have, with the values that mean "not used". */
const UNUSED: Readonly<Record<string, readonly unknown[]>> = {
  act_fn: ["silu", "swish"],
  attention_type: ["default"],
  center_input_sample: [false],
  class_embed_type: [],
  class_embeddings_concat: [false],
  controlnet_conditioning_channel_order: ["rgb"],
  conv_in_kernel: [3],
  conv_out_kernel: [3],
  cross_attention_norm: [],
  downsample_padding: [1],
  dual_cross_attention: [false],
  encoder_hid_dim: [],
  encoder_hid_dim_type: [],
  global_pool_conditions: [false],
  mid_block_only_cross_attention: [false],
  mid_block_scale_factor: [1],
  num_class_embeds: [],
  only_cross_attention: [false],
  resnet_out_scale_factor: [1],
  resnet_skip_time_act: [false],
  resnet_time_scale_shift: ["default"],
  reverse_transformer_layers_per_block: [],
  time_embedding_act_fn: [],
  time_embedding_dim: [],
  time_embedding_type: ["positional"],
  timestep_post_act: [],
};

/**
 * `unet/config.json` of a diffusers folder (UNet2DConditionModel), with diffusers' defaults for what it leaves out.
 * @throws KilnError file_corrupt for a field of the wrong type, file_unsupported for one that our UNet does not implement
 */
export function parseUNetConfig(json: JsonObject, file: string): UNetConfig {
  const reader = new ConfigReader(json, file);
  reader.oneOf("_class_name", ["UNet2DConditionModel"], "UNet2DConditionModel");
  const encoder = parseEncoder(reader);
  const levels = encoder.blockOutChannels.length;
  const upBlockTypes = reader.listOf("up_block_types", UP_BLOCKS, defaultTypes(UP_BLOCKS, levels).reverse());
  if (upBlockTypes.length !== levels) throw reader.bad("up_block_types", `a list of ${levels} block types`);
  const mirrored = encoder.downBlockTypes.map((type) => type === "CrossAttnDownBlock2D").reverse();
  if (upBlockTypes.some((type, i) => (type === "CrossAttnUpBlock2D") !== mirrored[i])) {
    throw reader.unsupported("up_block_types", upBlockTypes);
  }
  return { ...encoder, outChannels: reader.count("out_channels", 4), upBlockTypes };
}

/**
 * `config.json` of a ControlNet folder (ControlNetModel).
 * @throws KilnError file_corrupt for a field of the wrong type, file_unsupported for one that our ControlNet does not implement
 */
export function parseControlNetConfig(json: JsonObject, file: string): ControlNetConfig {
  const reader = new ConfigReader(json, file);
  reader.oneOf("_class_name", ["ControlNetModel"], "ControlNetModel");
  return {
    ...parseEncoder(reader),
    conditioningChannels: reader.count("conditioning_channels", 3),
    conditioningEmbeddingOutChannels: reader.counts("conditioning_embedding_out_channels", [16, 32, 96, 256]),
  };
}

function parseEncoder(reader: ConfigReader): UNetEncoderConfig {
  reader.requireUnused(UNUSED);
  const blockOutChannels = reader.counts("block_out_channels", [320, 640, 1280, 1280]);
  const levels = blockOutChannels.length;
  const downBlockTypes = reader.listOf("down_block_types", DOWN_BLOCKS, defaultTypes(DOWN_BLOCKS, levels));
  if (downBlockTypes.length !== levels) throw reader.bad("down_block_types", `a list of ${levels} block types`);
  const headsField = (reader.raw("num_attention_heads") ?? null) === null ? "attention_head_dim" : "num_attention_heads";
  const attentionHeads = reader.countsPerLevel(headsField, levels, 8);
  const normNumGroups = reader.count("norm_num_groups", 32);
  const uneven = blockOutChannels.findIndex(
    (channels, i) => channels % normNumGroups !== 0 || channels % (attentionHeads[i] ?? 1) !== 0,
  );
  if (uneven >= 0) throw reader.bad("block_out_channels", "divisible by the number of groups and of attention heads");
  return {
    inChannels: reader.count("in_channels", 4),
    blockOutChannels,
    layersPerBlock: uniform(reader, "layers_per_block", levels, 2),
    downBlockTypes,
    midBlockAttention: parseMidBlock(reader),
    attentionHeads,
    transformerLayers: reader.countsPerLevel("transformer_layers_per_block", levels, 1),
    crossAttentionDim: uniform(reader, "cross_attention_dim", levels, 1280),
    useLinearProjection: reader.flag("use_linear_projection", false),
    timeCondProjDim: reader.countOrNull("time_cond_proj_dim"),
    normNumGroups,
    normEps: reader.number("norm_eps", 1e-5),
    flipSinToCos: reader.flag("flip_sin_to_cos", true),
    freqShift: reader.number("freq_shift", 0),
    ...parseAddition(reader),
  };
}

function parseMidBlock(reader: ConfigReader): boolean {
  const type = reader.oneOf("mid_block_type", ["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"], "UNetMidBlock2DCrossAttn");
  return type === "UNetMidBlock2DCrossAttn";
}

function parseAddition(
  reader: ConfigReader,
): Pick<UNetEncoderConfig, "additionEmbedType" | "additionTimeEmbedDim" | "projectionClassEmbeddingsInputDim"> {
  if ((reader.raw("addition_embed_type") ?? null) === null) {
    return { additionEmbedType: null, additionTimeEmbedDim: null, projectionClassEmbeddingsInputDim: null };
  }
  return {
    additionEmbedType: reader.oneOf<"text_time">("addition_embed_type", ["text_time"]),
    additionTimeEmbedDim: reader.count("addition_time_embed_dim"),
    projectionClassEmbeddingsInputDim: reader.count("projection_class_embeddings_input_dim"),
  };
}

/** A field that diffusers allows to differ from level to level and no network that we run does. */
function uniform(reader: ConfigReader, field: string, levels: number, fallback: number): number {
  const values = reader.countsPerLevel(field, levels, fallback);
  const [first = fallback] = values;
  if (values.some((value) => value !== first)) throw reader.unsupported(field, values);
  return first;
}

/** diffusers' default: attention at every level but the innermost. */
function defaultTypes<T>(types: readonly T[], levels: number): T[] {
  const [plain, attention] = types;
  if (plain === undefined || attention === undefined) throw new RangeError("two block types are needed");
  return Array.from({ length: levels }, (_, i) => (i === levels - 1 ? plain : attention));
}
