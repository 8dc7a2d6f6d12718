/**
 * What a network's code has to know before it can be built. The fields carry the meaning of diffusers' and
 * transformers' `config.json`; values that our networks do not implement are refused where the configs are
 * read (`parse-model-configs.ts`, `parse-unet-config.ts`), so that everything that arrives here can be drawn with.
 */

export type DownBlockType = "DownBlock2D" | "CrossAttnDownBlock2D";
export type UpBlockType = "UpBlock2D" | "CrossAttnUpBlock2D";

/** The half that a UNet and a ControlNet share: time and size embeddings, the way down, the middle. */
export interface UNetEncoderConfig {
  /** 4, or 9 for an inpainting network (latent, mask, masked latent). */
  readonly inChannels: number;
  /** Channels after each down block, outermost first. Its length is the number of levels. */
  readonly blockOutChannels: readonly number[];
  /** ResNets in each down block; an up block has one more. */
  readonly layersPerBlock: number;
  readonly downBlockTypes: readonly DownBlockType[];
  /** Whether the middle is ResNet, transformer, ResNet; false where it is a single ResNet pair without attention. */
  readonly midBlockAttention: boolean;
  /**
   * Attention heads at each level, in the order of `blockOutChannels` (the way up reads it backwards, the middle uses the last).
   * diffusers calls this `attention_head_dim`, by mistake, wherever `num_attention_heads` is null.
   */
  readonly attentionHeads: readonly number[];
  /** Transformer blocks in each attention at each level, in the order of `blockOutChannels`. */
  readonly transformerLayers: readonly number[];
  /** Width of the text states (SDXL 2048, refiner 1280, SD 1.5 768). */
  readonly crossAttentionDim: number;
  /** True: `proj_in` and `proj_out` of an attention are linear; false: 1x1 convolutions. */
  readonly useLinearProjection: boolean;
  /** `text_time`: pooled text and micro-conditioning enter through `add_embedding` (SDXL and its refiner). */
  readonly additionEmbedType: "text_time" | null;
  /** Sinusoidal width of each `time_ids` number; null without `text_time`. */
  readonly additionTimeEmbedDim: number | null;
  /** Width of pooled text and embedded `time_ids` together; null without `text_time`. */
  readonly projectionClassEmbeddingsInputDim: number | null;
  /** Width of the guidance embedding of consistency-distilled networks (`time_embedding.cond_proj`); null in all others. */
  readonly timeCondProjDim: number | null;
  readonly normNumGroups: number;
  /** Epsilon of the ResNets' GroupNorms and of `conv_norm_out` (transformers' own GroupNorm is always 1e-6, LayerNorm 1e-5). */
  readonly normEps: number;
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
}

export interface UNetConfig extends UNetEncoderConfig {
  readonly outChannels: number;
  /** In the order of the way up: innermost first. */
  readonly upBlockTypes: readonly UpBlockType[];
}

export interface ControlNetConfig extends UNetEncoderConfig {
  /** Channels of the condition picture, 3. */
  readonly conditioningChannels: number;
  /** Channels of the condition's own small network, for instance [16, 32, 96, 256]; each step after the first halves the size. */
  readonly conditioningEmbeddingOutChannels: readonly number[];
}

/** AutoencoderKL. */
export interface VaeConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  /** Outermost (picture) first. */
  readonly blockOutChannels: readonly number[];
  /** ResNets in each encoder block; a decoder block has one more. */
  readonly layersPerBlock: number;
  readonly normNumGroups: number;
  readonly midBlockAddAttention: boolean;
  readonly useQuantConv: boolean;
  readonly usePostQuantConv: boolean;
  /** Latents are `(mean - shiftFactor) * scalingFactor`, or with mean and standard deviation where these are given. */
  readonly scalingFactor: number;
  readonly shiftFactor: number | null;
  readonly latentsMean: readonly number[] | null;
  readonly latentsStd: readonly number[] | null;
  /** For previews: red, green and blue (-1..1) of each scaled latent channel, and at the end of none. A field of Kiln's own (`latent_rgb`). */
  readonly latentRgb?: readonly number[];
  /** The weights overflow float16: a half-precision backend runs this network in float32. */
  readonly forceUpcast: boolean;
}

/** AutoencoderTiny (TAESD). Its latents are the UNet's as they are: scaling factors and shifts in its config change nothing. */
export interface TinyVaeConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  readonly numEncoderBlocks: readonly number[];
  readonly numDecoderBlocks: readonly number[];
}

/** A CLIP text encoder: OpenAI's L/14, OpenCLIP's bigG, or one like them. */
export interface ClipTextConfig {
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly activation: "quick_gelu" | "gelu";
  readonly layerNormEps: number;
  /** Width of the pooled output where there is a `text_projection`; null where the pooled output is not projected. */
  readonly projectionDim: number | null;
  /**
   * Where the pooled output is taken: at the first token with this id, except that 2 (an old mistake in published
   * configs, which transformers keeps alive) means "at the largest id".
   */
  readonly eosTokenId: number;
}

/** The scheduler's configuration by diffusers' names, as `scheduler_config.json` holds it. */
export type { SchedulerConfig } from "../schedulers/scheduler.ts";
