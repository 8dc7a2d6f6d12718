import type { Weights } from "../checkpoint/tensor-view.ts";
import { elementCount } from "../checkpoint/views.ts";
import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { DEFAULT_TILING, type TilingOptions } from "../networks/tiling.ts";
import type { DiffusionModel } from "./diffusion-model.ts";
import { memoryInReach } from "./machine-memory.ts";

/** One size at which a model draws. */
export interface Drawn {
  readonly model: DiffusionModel;
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  /** Rows of one call of the UNet: pictures, twice where there is guidance. */
  readonly rows: number;
}

/** Peak bytes of a request, part by part: they do not come all at once, the largest does. */
export interface MemoryEstimate {
  /** What stays while the models are loaded: the process itself and the weights that are not mapped. */
  readonly resident: number;
  /** On top, while the UNet runs. */
  readonly denoising: number;
  /** On top, while the VAE decodes: whole, and in tiles. */
  readonly decoding: number;
  readonly decodingTiled: number;
}

/** Node with this library, before a network is loaded. */
const PROCESS_BYTES = 200 * 2 ** 20;
/** Weights that are widened at the same time, in the size of the largest: a transformer block's, and room between them. */
const WIDENED_TENSORS = 8;
/**
 * Activations of the UNet at their peak, in images of full latent size and of the first level's channels. Measured with ONNX
 * Runtime at 1024x1024, two rows: 10, and room for the arena's steps.
 */
const UNET_IMAGES = 14;
/**
 * Activations of the VAE decoder at their peak, in images of full picture size and of the last level's channels. Measured: 7.5 at
 * 512x512, 6.2 at 1024x1024. The scores of its attention, tokens by tokens, may take more, but not at the same time.
 */
const VAE_IMAGES = 7.5;
const FLOAT32 = 4;
/** Requests below are never refused: a machine that draws at all has this much, and small checkpoints need less. */
const NEVER_REFUSED = 2 ** 31;
/** Of what is in reach: the rest is for what the constants do not know, such as pictures, adapters and other requests. */
const USABLE_PART = 0.95;

/**
 * What a picture will take, before anything is loaded. Undefined where the backend holds weights and activations elsewhere than
 * in the machine's memory.
 */
export function estimateMemory({ model, width, height, rows }: Drawn): MemoryEstimate | undefined {
  const { residentBytes } = model.cache.backend;
  if (!residentBytes) return undefined;
  const { configs, weights } = model.checkpoint;
  const { unet: _, ...others } = weights;
  const sum = (network: Weights | undefined): number =>
    [...(network?.values() ?? [])].reduce((bytes, tensor) => bytes + residentBytes(tensor), 0);
  const tile = DEFAULT_TILING.tile * PIXELS_PER_LATENT;
  const pixels = width * height * 3 * FLOAT32;
  const vae = (w: number, h: number): number => vaeActivations(configs.vae.blockOutChannels[0] ?? 0, w, h) + 3 * pixels;
  return {
    // The UNet may be held narrower than its tensors tell one by one.
    resident: PROCESS_BYTES + model.predictor.residentBytes + Object.values(others).reduce((bytes, each) => bytes + sum(each), 0),
    denoising:
      WIDENED_TENSORS * largestTensor(weights.unet) * FLOAT32 +
      UNET_IMAGES * rows * (configs.unet.blockOutChannels[0] ?? 0) * latents(width, height) * FLOAT32,
    decoding: vae(width, height),
    decodingTiled: vae(Math.min(width, tile), Math.min(height, tile)),
  };
}

/**
 * Refuses what will not fit before anything is loaded for it.
 * @param limit bytes that the process may take in all; undefined: what the machine or the container has.
 * @throws KilnError out_of_memory with the numbers and a size that fits
 */
export function checkFits(drawn: readonly Drawn[], limit?: number): void {
  const inReach = usable(limit);
  for (const one of drawn) {
    const needed = peak(one);
    if (needed === undefined || needed <= Math.max(inReach, NEVER_REFUSED)) continue;
    const smaller = sizeThatFits(one, inReach);
    throw new KilnError(
      "out_of_memory",
      `${one.width}x${one.height}${one.rows > 2 ? ` (${one.rows} rows at once)` : ""} needs about ${gibibytes(needed)} of memory and ${gibibytes(inReach)} are there: ${smaller ? `draw at ${smaller.width}x${smaller.height} or smaller` : "free memory, or use a smaller checkpoint"}.`,
      { subject: "width" },
    );
  }
}

/** How a picture of this size is decoded: undefined where it fits whole, else in tiles. */
export function decodeTiling(
  model: DiffusionModel,
  size: { width: number; height: number },
  limit?: number,
): TilingOptions | undefined {
  if (largestDecodeTensor(model, size) > (model.cache.backend.largestTensorBytes ?? Number.POSITIVE_INFINITY))
    return DEFAULT_TILING;
  const estimate = estimateMemory({ model, ...size, rows: 1 });
  if (!estimate) return undefined;
  const whole = estimate.resident + estimate.decoding;
  return whole <= Math.max(usable(limit), NEVER_REFUSED) ? undefined : DEFAULT_TILING;
}

/** Decoding can always go in tiles, so that its whole form never stands in the way. */
function peak(drawn: Drawn): number | undefined {
  const estimate = estimateMemory(drawn);
  return estimate && estimate.resident + Math.max(estimate.denoising, estimate.decodingTiled);
}

function usable(limit: number | undefined): number {
  return limit ?? memoryInReach() * USABLE_PART;
}

const SIDE_STEP = 64;
const SMALLEST_SIDE = 256;

/** The largest picture of the same form that fits, in steps that suit SDXL's sizes. */
function sizeThatFits(drawn: Drawn, inReach: number): { width: number; height: number } | undefined {
  const { width, height } = drawn;
  for (let long = Math.max(width, height) - SIDE_STEP; long >= SMALLEST_SIDE; long -= SIDE_STEP) {
    const scale = long / Math.max(width, height);
    const side = (length: number): number => Math.max(SIDE_STEP, Math.floor((length * scale) / SIDE_STEP) * SIDE_STEP);
    const size = { width: side(width), height: side(height) };
    if ((peak({ ...drawn, ...size }) ?? 0) <= inReach) return size;
  }
  return undefined;
}

function latents(width: number, height: number): number {
  return (width / PIXELS_PER_LATENT) * (height / PIXELS_PER_LATENT);
}

function vaeActivations(channels: number, width: number, height: number): number {
  const tokens = latents(width, height);
  return Math.max(VAE_IMAGES * channels * width * height, tokens * tokens) * FLOAT32;
}

/** Bytes of the largest tensor of the VAE decoder, which stands in its last level before channels go down, or in its attention. */
function largestDecodeTensor({ checkpoint }: DiffusionModel, { width, height }: { width: number; height: number }): number {
  const { blockOutChannels, midBlockAddAttention } = checkpoint.configs.vae;
  const [last = 0, lastButOne = last] = blockOutChannels;
  const tokens = latents(width, height);
  const numbers = Math.max(Math.max(last, lastButOne) * width * height, midBlockAddAttention ? tokens * tokens : 0);
  return numbers * FLOAT32;
}

function largestTensor(weights: Weights | undefined): number {
  let largest = 0;
  for (const { shape } of weights?.values() ?? []) largest = Math.max(largest, elementCount(shape));
  return largest;
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(bytes < 10 * 2 ** 30 ? 1 : 0)} GiB`;
}
