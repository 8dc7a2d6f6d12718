import { ConfigReader } from "./config-reader.ts";
import type { JsonObject } from "./json.ts";
import type { ClipTextConfig, TinyVaeConfig, VaeConfig } from "./model-configs.ts";

/**
 * `vae/config.json` (AutoencoderKL), with diffusers' defaults for what it leaves out.
 * @throws KilnError file_corrupt for a field of the wrong type, file_unsupported for one that our VAE does not implement
 */
export function parseVaeConfig(json: JsonObject, file: string): VaeConfig {
  const reader = new ConfigReader(json, file);
  reader.oneOf("_class_name", ["AutoencoderKL"], "AutoencoderKL");
  reader.requireUnused({ act_fn: ["silu", "swish"] });
  const blockOutChannels = reader.counts("block_out_channels", [64]);
  reader.listOf("down_block_types", ["DownEncoderBlock2D"], ["DownEncoderBlock2D"]);
  reader.listOf("up_block_types", ["UpDecoderBlock2D"], ["UpDecoderBlock2D"]);
  const latentChannels = reader.count("latent_channels", 4);
  const normNumGroups = reader.count("norm_num_groups", 32);
  if (blockOutChannels.some((channels) => channels % normNumGroups !== 0)) {
    throw reader.bad("block_out_channels", `divisible by ${normNumGroups}, the number of groups`);
  }
  const latentRgb = reader.numbersOrNull("latent_rgb", 3 * (latentChannels + 1));
  return {
    inChannels: reader.count("in_channels", 3),
    outChannels: reader.count("out_channels", 3),
    latentChannels,
    blockOutChannels,
    layersPerBlock: reader.count("layers_per_block", 1),
    normNumGroups,
    midBlockAddAttention: reader.flag("mid_block_add_attention", true),
    useQuantConv: reader.flag("use_quant_conv", true),
    usePostQuantConv: reader.flag("use_post_quant_conv", true),
    scalingFactor: reader.number("scaling_factor", 0.18215),
    shiftFactor: reader.numberOrNull("shift_factor"),
    latentsMean: reader.numbersOrNull("latents_mean", latentChannels),
    latentsStd: reader.numbersOrNull("latents_std", latentChannels),
    ...(latentRgb === null ? {} : { latentRgb }),
    forceUpcast: reader.flag("force_upcast", true),
  };
}

/** `config.json` of a tiny autoencoder (AutoencoderTiny). Errors as for `parseVaeConfig`. */
export function parseTinyVaeConfig(json: JsonObject, file: string): TinyVaeConfig {
  const reader = new ConfigReader(json, file);
  reader.oneOf("_class_name", ["AutoencoderTiny"], "AutoencoderTiny");
  reader.requireUnused({ act_fn: ["relu"], upsample_fn: ["nearest"], upsampling_scaling_factor: [2] });
  return {
    inChannels: reader.count("in_channels", 3),
    outChannels: reader.count("out_channels", 3),
    latentChannels: reader.count("latent_channels", 4),
    numEncoderBlocks: reader.counts("num_encoder_blocks", [1, 3, 3, 3]),
    numDecoderBlocks: reader.counts("num_decoder_blocks", [3, 3, 3, 1]),
  };
}

/**
 * `text_encoder/config.json` (CLIPTextModel, CLIPTextModelWithProjection), with transformers' defaults for what it leaves out.
 * `projected`: the place (`text_encoder_2`) says that there is a projection; otherwise the class does.
 * Errors as for `parseVaeConfig`.
 */
export function parseClipTextConfig(json: JsonObject, file: string, projected = false): ClipTextConfig {
  const reader = new ConfigReader(json, file);
  const hiddenSize = reader.count("hidden_size", 512);
  const heads = reader.count("num_attention_heads", 8);
  if (hiddenSize % heads !== 0) throw reader.bad("hidden_size", `divisible by ${heads}, the number of attention heads`);
  return {
    vocabSize: reader.count("vocab_size", 49408),
    maxPositions: reader.count("max_position_embeddings", 77),
    hiddenSize,
    intermediateSize: reader.count("intermediate_size", 2048),
    layers: reader.count("num_hidden_layers", 12),
    heads,
    activation: reader.oneOf("hidden_act", ["quick_gelu", "gelu"], "quick_gelu"),
    layerNormEps: reader.number("layer_norm_eps", 1e-5),
    projectionDim: projected || hasProjection(reader) ? reader.count("projection_dim", 512) : null,
    eosTokenId: reader.count("eos_token_id", 49407, 0),
  };
}

/** `projection_dim` is written also where the network has no projection; the class says whether it has one. */
function hasProjection(reader: ConfigReader): boolean {
  const architectures: unknown = reader.raw("architectures");
  return Array.isArray(architectures) && architectures.includes("CLIPTextModelWithProjection");
}
