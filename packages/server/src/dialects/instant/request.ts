import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import { MAX_SIDE, MAX_STEPS, MIN_SIDE, SIDE_MULTIPLE } from "../../jobs/limits.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import type { ModelInfo } from "../../models/model.ts";
import { recipeFor } from "../contract-recipe.ts";
import { number, wholeNumber } from "../field-errors.ts";
import { looseFlag, looseSeed } from "../loose.ts";

const RECIPE = { steps: 25, guidance_scale: 7.5 };
const REFINE_STRENGTH = 0.3;
/** Hires fix: 768² of an SDXL checkpoint's 1024², doubled, and drawn over. */
const HIRES = { base: 0.75, scale: 2, strength: 0.35, steps: 25 } as const;
const SIMPLE_SCALE = 1.5;
/** Enlargement of a finished picture; the native request has the same limit. */
const MAX_SCALE = 4;
/** The native request's, said here so that errors name the field that the client sent. */
const MAX_GUIDANCE = 30;

const side = wholeNumber((schema) => schema.min(MIN_SIDE).max(MAX_SIDE).multipleOf(SIDE_MULTIPLE)).nullish();
const scale = number((schema) => schema.min(1).max(MAX_SCALE)).nullish();
const count = wholeNumber((schema) => schema.min(1).max(MAX_STEPS)).nullish();
const guidance = number((schema) => schema.min(0).max(MAX_GUIDANCE)).nullish();
const text = z.string().nullish();
const flag = looseFlag.nullish();

export const instantRequestSchema = z.object({
  prompt: z.string().min(1),
  negative_prompt: text,
  width: side,
  height: side,
  num_inference_steps: count,
  steps: count,
  guidance_scale: guidance,
  cfg_scale: guidance,
  use_refiner: flag,
  use_face_restoration: flag,
  face_restoration_weight: number((schema) => schema.min(0).max(1)).nullish(),
  hires_fix: flag,
  use_hires_fix: flag,
  hires_fix_simple: flag,
  hires_scale: scale,
  use_realesrgan: flag,
  upscale: scale,
  seed: looseSeed,
  model: z.unknown().optional(),
});

export type InstantRequest = z.output<typeof instantRequestSchema>;

/** A request of the contract in native words, and which of its optional parts it gets. */
export interface InstantPlan {
  native: GenerationRequestInput;
  model: ModelInfo;
  refiner: boolean;
  hires: boolean;
}

export function planInstant(request: InstantRequest, context: ServerContext): InstantPlan {
  const model = modelOf(request.model, context);
  const refiner = (request.use_refiner ?? true) ? refinerOf(model, context) : undefined;
  const hires = request.hires_fix ?? request.use_hires_fix ?? false;
  const simple = !hires && (request.hires_fix_simple ?? false);
  const recipe = recipeFor(RECIPE, model, context);
  const steps = request.num_inference_steps ?? request.steps ?? recipe.steps;
  const guidanceScale = request.guidance_scale ?? request.cfg_scale ?? recipe.guidance_scale;
  const negative = request.negative_prompt ?? (context.presets.negative_prompt || undefined);
  const size = hires ? hiresBase(request, model) : { width: request.width, height: request.height };
  const enlarged = (simple ? (request.hires_scale ?? SIMPLE_SCALE) : 1) * (request.upscale ?? 1);
  const native: GenerationRequestInput = {
    prompt: request.prompt,
    model: model.id,
    ...(negative === undefined ? {} : { negative_prompt: negative }),
    ...(size.width == null ? {} : { width: size.width }),
    ...(size.height == null ? {} : { height: size.height }),
    ...(steps === undefined ? {} : { steps }),
    ...(guidanceScale === undefined ? {} : { guidance_scale: guidanceScale }),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    ...(hires ? { hires: hiresOf(refiner) } : {}),
    ...(refiner ? { refiner: { model: refiner.id, mode: "pass", strength: REFINE_STRENGTH } } : {}),
    output: { format: "png", ...(enlarged > 1 ? { scale: enlarged } : {}) },
    preview: false,
  };
  return { native, model, refiner: refiner !== undefined, hires: hires || simple };
}

/** The second pass is the refiner's alone; without one the model draws it. */
function hiresOf(refiner: ModelInfo | undefined): NonNullable<GenerationRequestInput["hires"]> {
  const { scale, strength, steps } = HIRES;
  return { scale, upscaler: "lanczos", strength, steps, by: refiner ? "refiner" : "base" };
}

/**
 * The contract has one model. A client that names one which is installed gets it, so that the SD 1.5 predecessor
 * stays within reach; whatever else the field holds is a field that the contract does not know.
 */
function modelOf(named: unknown, { catalogue }: ServerContext): ModelInfo {
  const found = typeof named === "string" ? catalogue.find(named, "checkpoint") : undefined;
  return found && found.family !== "sdxl-refiner" ? found : catalogue.default();
}

/** The refiner goes on from SDXL's own latents; those of the demo are of another autoencoder. */
function refinerOf(model: ModelInfo, { catalogue, settings }: ServerContext): ModelInfo | undefined {
  if (model.family !== "sdxl" || model.variant === "demo") return undefined;
  const named = settings.SDXL_REFINER_ID === undefined ? undefined : catalogue.find(settings.SDXL_REFINER_ID, "checkpoint");
  return named ?? catalogue.list("checkpoint").find(({ family }) => family === "sdxl-refiner");
}

/** The picture that hires fix begins with: three quarters of the model's size, in the shape that was asked for. */
function hiresBase({ width, height }: InstantRequest, { defaults }: ModelInfo): { width: number; height: number } {
  const shape = { width: width ?? defaults.width, height: height ?? defaults.height };
  const ratio = (HIRES.base * Math.max(defaults.width, defaults.height)) / Math.max(shape.width, shape.height);
  const fit = (length: number) => Math.max(MIN_SIDE, Math.round((length * ratio) / SIDE_MULTIPLE) * SIDE_MULTIPLE);
  return { width: fit(shape.width), height: fit(shape.height) };
}
