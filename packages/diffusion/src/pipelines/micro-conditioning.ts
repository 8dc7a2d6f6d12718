import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { KilnError } from "../errors.ts";
import { concatenate } from "../graph/tensor.ts";
import { sinusoids } from "../models/timestep-embedding.ts";
import type { RowConditioning } from "../networks/row.ts";
import type { EncodedPrompt } from "./prompt-encoder.ts";
import type { GenerateRequest, Pair } from "./request.ts";

/** The sizes that SDXL is told (Podell et al., arXiv 2307.01952, section 2.2), for the positive and the negative half. */
export interface TimeIds {
  readonly positive: readonly number[];
  readonly negative: readonly number[];
}

/** The refiner's scores where the request has none, as in diffusers. */
const AESTHETIC_SCORE = 6;
const NEGATIVE_AESTHETIC_SCORE = 2.5;

/**
 * Original size, crop, and target size (base) or aesthetic score (refiner). The negative half is the positive one's where it is
 * not given: text to image asks for both negative sizes, image to image for each on its own and shares the crop, as diffusers'
 * pipelines do.
 * @param size the picture's, [height, width] in pixels.
 */
export function timeIds(request: GenerateRequest, size: Pair, { configs }: Checkpoint): TimeIds {
  const original = request.originalSize ?? size;
  const target = request.targetSize ?? size;
  const crop = request.cropTopLeft ?? [0, 0];
  const negativeCrop = request.negativeCropTopLeft ?? [0, 0];
  if (configs.requiresAestheticsScore) {
    return {
      positive: [...original, ...crop, request.aestheticScore ?? AESTHETIC_SCORE],
      negative: [
        ...(request.negativeOriginalSize ?? original),
        ...negativeCrop,
        request.negativeAestheticScore ?? NEGATIVE_AESTHETIC_SCORE,
      ],
    };
  }
  const positive = [...original, ...crop, ...target];
  const { negativeOriginalSize = original, negativeTargetSize = target } = request;
  if (request.image !== undefined) return { positive, negative: [...negativeOriginalSize, ...crop, ...negativeTargetSize] };
  if (request.negativeOriginalSize === undefined || request.negativeTargetSize === undefined)
    return { positive, negative: positive };
  return { positive, negative: [...negativeOriginalSize, ...negativeCrop, ...negativeTargetSize] };
}

/** What a row of the UNet is told: text states, and for SDXL the pooled text with the sinusoids of the sizes. */
export function rowConditioning(
  { states, pooled }: EncodedPrompt,
  ids: readonly number[],
  { configs }: Checkpoint,
): RowConditioning {
  const { additionEmbedType, additionTimeEmbedDim, projectionClassEmbeddingsInputDim } = configs.unet;
  if (additionEmbedType === null || !pooled) return { text: states, addition: undefined };
  const sizes = sinusoids(ids, additionTimeEmbedDim ?? 0, configs.unet);
  const addition = concatenate(pooled, sizes);
  if (addition.length !== projectionClassEmbeddingsInputDim) {
    throw new KilnError(
      "checkpoint_incomplete",
      `The UNet expects ${projectionClassEmbeddingsInputDim} numbers of pooled text and sizes, and the text encoders give ${addition.length}: they belong to different checkpoints.`,
    );
  }
  return { text: states, addition };
}

/** Sinusoids of consistency-distilled networks are spread over this range (Meng et al., arXiv 2210.03142; diffusers' w embedding). */
const GUIDANCE_RANGE = 1000;

/** The embedding of the guidance scale that consistency-distilled UNets take in place of guidance, [width]: sines first. */
export function guidanceEmbedding(scale: number, width: number): Float32Array {
  const half = Math.floor(width / 2);
  const result = new Float32Array(width);
  for (let i = 0; i < half; i++) {
    const angle = (scale - 1) * GUIDANCE_RANGE * Math.exp((-Math.log(10_000) * i) / (half - 1));
    result[i] = Math.sin(angle);
    result[half + i] = Math.cos(angle);
  }
  return result;
}
