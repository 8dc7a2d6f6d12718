/**
 * Stable Diffusion XL in TypeScript: checkpoints are read where they lie, networks are built from code, pictures come out.
 * @module
 */
export {
  type AdaptedNetworks,
  type Adapter,
  type AdapterFile,
  type AdapterLayer,
  type AdapterNetwork,
  fitAdapter,
  type LayerFactors,
  openAdapter,
} from "./adapters/adapter.ts";
export type { AdapterFamily } from "./adapters/guess-family.ts";
export type { Backend, CompiledGraph, GraphicsCard } from "./backends/backend.ts";
export {
  type BackendChoice,
  type ChosenBackend,
  chooseBackend,
  DEVICES,
  type Device,
  PRECISIONS,
  type Precision,
} from "./backends/choose-backend.ts";
export { type CudaOptions, cudaBackend } from "./backends/cuda/cuda-backend.ts";
export { type CudaDevice, type CudaDevices, cudaDevices } from "./backends/cuda/cuda-driver.ts";
export { cudaFolder, type FoundCuda, findCuda } from "./backends/cuda/find-cuda.ts";
export { type InstallCudaOptions, installCuda } from "./backends/cuda/install-cuda.ts";
export { type OnnxBackendOptions, onnxBackend } from "./backends/onnx/onnx-backend.ts";
export type { WeightPolicy } from "./backends/onnx/weight-policy.ts";
export { acceleratorFolder, findOpenVino } from "./backends/openvino/find-openvino.ts";
export { installOpenVino } from "./backends/openvino/install-openvino.ts";
export { type OpenVinoOptions, openVinoBackend } from "./backends/openvino/openvino-backend.ts";
export { findWebGpu, type WebGpuFinding } from "./backends/webgpu/find-webgpu.ts";
export { type WebGpuOptions, webGpuBackend } from "./backends/webgpu/webgpu-backend.ts";
export { type Checkpoint, type NetworkName, type OpenCheckpointOptions, openCheckpoint } from "./checkpoint/checkpoint.ts";
export type { CheckpointConfigs } from "./checkpoint/checkpoint-configs.ts";
export { type CheckpointDefaults, readDefaults } from "./checkpoint/defaults.ts";
export { type Distilled, type DistilledKind, findDistilled } from "./checkpoint/distilled.ts";
export type { EmbeddingEncoder, EmbeddingSummary } from "./checkpoint/embedding-file.ts";
export type { Family } from "./checkpoint/family.ts";
export { type InspectedNetwork, type Inspection, type InspectOptions, inspectFile } from "./checkpoint/inspect.ts";
export type { FileKind } from "./checkpoint/kinds.ts";
export type * from "./checkpoint/model-configs.ts";
export type { StorageType, TensorView, Weights } from "./checkpoint/tensor-view.ts";
export { Denoiser, type DenoiserOptions, type StepProgress, type SubmitOptions } from "./denoise/denoiser.ts";
export type { NoiseStream } from "./denoise/noise-stream.ts";
export { type Candidate, fairPolicy, type Policy } from "./denoise/policy.ts";
export { type Guidance, type Inpainting, Slot, type SlotControl, type SlotDefinition, type SlotState } from "./denoise/slot.ts";
export { parseSlotState, resumeSlot, serializeSlotState } from "./denoise/slot-state.ts";
export { ERROR_CODES, type ErrorCode, KilnError } from "./errors.ts";
export type { Graph, GraphInput } from "./graph/graph.ts";
export type { Tensor } from "./graph/tensor.ts";
export type { WeightedAdapter } from "./networks/adapter-stack.ts";
export type { Autoencoder, LatentDistribution } from "./networks/autoencoder.ts";
export { ControlNetwork, type RowControl } from "./networks/control-network.ts";
export type { NetworkCache } from "./networks/network-cache.ts";
export { NoisePredictor } from "./networks/noise-predictor.ts";
export type { Row, RowConditioning } from "./networks/row.ts";
export { TinyAutoencoder } from "./networks/tiny-autoencoder.ts";
export {
  type DecodedPicture,
  decodeMask,
  decodePicture,
  decodePictureWithAlpha,
  MAX_PICTURE_FILE_BYTES,
  type PictureFormat,
  pictureFormat,
} from "./pictures/decode.ts";
export { encodeJpeg, encodePng, encodeWebp } from "./pictures/encode.ts";
export {
  type CommonSettings,
  commonSettings,
  formatInfotext,
  type Infotext,
  type InfotextInput,
  parseInfotext,
  parseSize,
} from "./pictures/infotext.ts";
export { MAX_PICTURE_PIXELS, type MaskPicture, type Picture } from "./pictures/picture.ts";
export {
  encodePicture,
  encodePngWithMetadata,
  type PictureEncoding,
  type PictureMetadata,
  readPictureMetadata,
} from "./pictures/picture-metadata.ts";
export { compressedPngTextBytes } from "./pictures/png-text.ts";
export { type ResizeMode, resizePicture } from "./pictures/resize.ts";
export { DiffusionModel, type LoadOptions } from "./pipelines/diffusion-model.ts";
export { type EncodeOptions, GeneratedPicture } from "./pipelines/generated-picture.ts";
export { rowConditioning } from "./pipelines/micro-conditioning.ts";
export { Pipeline } from "./pipelines/pipeline.ts";
export type { EncodedPrompt, PromptEncoder, PromptSyntax } from "./pipelines/prompt-encoder.ts";
export { type FewSteps, fewStepRecipe, type Recipe, recipeFor } from "./pipelines/recipes.ts";
export type * from "./pipelines/request.ts";
export { createRandom, MAX_SEED, restoreRandom } from "./random/create-random.ts";
export type { RandomKind, RandomSource, RandomState } from "./random/random.ts";
export {
  A1111_SAMPLERS,
  A1111_SCHEDULES,
  type A1111Names,
  type A1111Sampler,
  type A1111SamplerName,
  type A1111Schedule,
  type A1111ScheduleName,
  a1111SamplerOptions,
  isA1111Sampler,
  resolveA1111Name,
} from "./schedulers/a1111/names.ts";
export type { A1111Options } from "./schedulers/a1111/options.ts";
export { type A1111Run, type A1111Scheduler, createA1111Sampler } from "./schedulers/a1111/sampler.ts";
export { type EvaluationRange, evaluationRange, startIndexForStrength } from "./schedulers/partial-run.ts";
export type { Prediction } from "./schedulers/prediction.ts";
export {
  createScheduler,
  type ListedScheduler,
  listSchedulers,
  type ResolvedScheduler,
  resolveSchedulerName,
} from "./schedulers/registry.ts";
export type {
  BrownianInterval,
  NoiseDraw,
  Scheduler,
  SchedulerConfig,
  SchedulerRun,
  SchedulerState,
  SchedulerStep,
} from "./schedulers/scheduler.ts";
export { ClipTokenizer } from "./text/clip-tokenizer.ts";
export { type ExtractedTags, extractLoraTags, type LoraTag } from "./text/extra-network-tags.ts";
export { type PromptPart, parsePromptAttention } from "./text/prompt-attention.ts";
export { mentionsEmbedding } from "./text/prompt-tokens.ts";
export type { StandardTokenizer } from "./text/standard-vocabulary.ts";
export { VERSION } from "./version.ts";
