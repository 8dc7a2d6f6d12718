import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import { MAX_BATCH_REQUESTS, MAX_SIDE, MAX_STEPS, MIN_SIDE, SIDE_MULTIPLE } from "../../jobs/limits.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import type { ModelInfo } from "../../models/model.ts";
import { recipeFor } from "../contract-recipe.ts";
import { number, wholeNumber } from "../field-errors.ts";
import { looseSeed } from "../loose.ts";

/** The contract's own where a request leaves them out. */
const RECIPE = { steps: 30, guidance_scale: 7.5, scheduler: "euler_a" };
const MAX_GUIDANCE = 30;
/** Pictures of a batch that are drawn at the same time, where the request does not say. */
const BATCH_SIZE = 4;

const side = wholeNumber((schema) => schema.min(MIN_SIDE).max(MAX_SIDE).multipleOf(SIDE_MULTIPLE)).nullish();

export const poseRequestSchema = z.object({
  prompt: z.string().min(1),
  negative_prompt: z.string().nullish(),
  width: side,
  height: side,
  num_inference_steps: wholeNumber((schema) => schema.min(1).max(MAX_STEPS)).nullish(),
  guidance_scale: number((schema) => schema.min(0).max(MAX_GUIDANCE)).nullish(),
  seed: looseSeed,
});

export type PoseRequest = z.output<typeof poseRequestSchema>;

export const batchSchema = z.array(poseRequestSchema).max(MAX_BATCH_REQUESTS);
export const batchQuerySchema = z.object({
  max_batch_size: wholeNumber((schema) => schema.min(1).max(MAX_BATCH_REQUESTS)).default(BATCH_SIZE),
});

/** The contract's names for fields of the native request, in errors. */
export const POSE_FIELDS: Readonly<Record<string, string>> = { steps: "num_inference_steps", controls: "pose" };

export function toNative(
  request: PoseRequest,
  control: { model: string; image: string } | undefined,
  model: ModelInfo,
  context: ServerContext,
): GenerationRequestInput {
  const negative = request.negative_prompt ?? (context.presets.negative_prompt || undefined);
  return {
    prompt: request.prompt,
    model: model.id,
    ...(negative === undefined ? {} : { negative_prompt: negative }),
    ...(request.width == null ? {} : { width: request.width }),
    ...(request.height == null ? {} : { height: request.height }),
    ...recipeFor(RECIPE, model, context),
    ...(request.num_inference_steps == null ? {} : { steps: request.num_inference_steps }),
    ...(request.guidance_scale == null ? {} : { guidance_scale: request.guidance_scale }),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    controls: control ? [{ ...control, scale: 1 }] : [],
    output: { format: "png" },
    preview: false,
  };
}
