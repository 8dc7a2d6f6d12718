import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { MAX_PICTURES, MAX_SIDE, MAX_STEPS, MIN_SIDE, SIDE_MULTIPLE } from "../../jobs/limits.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import type { ModelInfo } from "../../models/model.ts";

/** The contract's own limit on pictures of one call. */
const MAX_N = 10;
/** How much of a picture is drawn anew where no mask says it, and how much with `input_fidelity: high`. */
const EDIT_STRENGTH = 0.75;
const FAITHFUL_STRENGTH = 0.5;
/** A variation keeps the picture's layout. */
const VARIATION_STRENGTH = 0.6;
/** `quality` in steps of the model's own number. Distilled checkpoints have one right number, which stays. */
const LOW = 0.5;
const HIGH = 1.5;
/** OpenAI's names for its models, all of which mean the default model here. */
const OPENAI_MODELS = /^(?:gpt-image-[\w.-]+|chatgpt-image-[\w.-]+|dall-e-\w+)$/;

const size = z
  .string()
  .regex(/^(?:auto|\d{1,5}x\d{1,5})$/, 'must be "auto" or a width and a height such as "1024x1024"')
  .nullish();

const common = {
  model: z.string().max(200).nullish(),
  n: z.int().min(1).max(MAX_N).nullish(),
  size,
  quality: z.enum(["auto", "low", "medium", "high", "standard", "hd"]).nullish(),
  response_format: z.enum(["url", "b64_json"]).nullish(),
  output_format: z.enum(["png", "jpeg", "webp"]).nullish(),
  output_compression: z.int().min(0).max(100).nullish(),
  background: z.enum(["auto", "opaque", "transparent"]).nullish(),
  user: z.string().max(200).nullish(),
  stream: z.boolean().nullish(),
  partial_images: z.int().min(0).max(3).nullish(),
};

export const generationSchema = z.object({ prompt: z.string().min(1), ...common });
export const editSchema = z.object({
  prompt: z.string().min(1),
  ...common,
  input_fidelity: z.enum(["high", "low"]).nullish(),
});
export const variationSchema = z.object(common);

export type CommonFields = z.output<typeof variationSchema>;

/** A picture that came with the request, and the mask of what is to be painted anew, both stored. */
export interface StoredPictures {
  image: string;
  mask: string | undefined;
  width: number;
  height: number;
}

/** The model that is meant. Raises `model_not_found`. */
export function modelOf(name: string | null | undefined, { catalogue }: ServerContext): ModelInfo {
  if (name === null || name === undefined || name === "") return catalogue.default();
  const found = catalogue.find(name, "checkpoint");
  if (found) return found;
  return OPENAI_MODELS.test(name) ? catalogue.default() : catalogue.require(name, "checkpoint", "model");
}

/** The size that is asked for, or undefined for "auto". */
export function sizeOf(named: string | null | undefined): { width: number; height: number } | undefined {
  if (named === null || named === undefined || named === "auto") return undefined;
  const [width = 0, height = 0] = named.split("x").map(Number);
  return { width, height };
}

/** "auto" for a picture that is edited: its own shape, with as many pixels as the model draws best. */
export function sizeLike(picture: { width: number; height: number }, model: ModelInfo): { width: number; height: number } {
  const scale = Math.sqrt((model.size.width * model.size.height) / (picture.width * picture.height));
  const side = (length: number) =>
    Math.min(MAX_SIDE, Math.max(MIN_SIDE, Math.round((length * scale) / SIDE_MULTIPLE) * SIDE_MULTIPLE));
  return { width: side(picture.width), height: side(picture.height) };
}

/** The native requests that a request of the contract means: one, or two where it asks for more pictures than one job makes. */
export function toNative(
  fields: CommonFields & { prompt?: string; input_fidelity?: "high" | "low" | null | undefined },
  context: ServerContext,
  pictures?: StoredPictures,
): GenerationRequestInput[] {
  const model = modelOf(fields.model, context);
  const negative = context.presets.negative_prompt;
  const steps = stepsFor(fields.quality, model);
  const format = fields.output_format ?? "png";
  const one: GenerationRequestInput = {
    // A variation has no words; the picture says everything.
    prompt: fields.prompt ?? " ",
    model: model.id,
    ...(negative === "" ? {} : { negative_prompt: negative }),
    ...(pictures ? { width: pictures.width, height: pictures.height } : sizeOf(fields.size)),
    ...(steps === undefined ? {} : { steps }),
    ...(pictures ? { image: pictures.image, strength: strengthFor(fields, pictures) } : {}),
    // What is not masked comes back to the pixel, as OpenAI's clients expect.
    ...(pictures?.mask === undefined ? {} : { mask: pictures.mask, inpaint: {} }),
    ...(fields.user === null || fields.user === undefined ? {} : { user: fields.user }),
    output: { format, ...qualityOf(fields, format) },
    preview: fields.stream === true && (fields.partial_images ?? 0) > 0,
  };
  const n = fields.n ?? 1;
  return n <= MAX_PICTURES
    ? [{ ...one, n }]
    : [
        { ...one, n: MAX_PICTURES },
        { ...one, n: n - MAX_PICTURES },
      ];
}

function strengthFor(
  fields: { prompt?: string; input_fidelity?: "high" | "low" | null | undefined },
  { mask }: StoredPictures,
): number {
  if (mask !== undefined) return 1;
  if (fields.prompt === undefined) return VARIATION_STRENGTH;
  return fields.input_fidelity === "high" ? FAITHFUL_STRENGTH : EDIT_STRENGTH;
}

function stepsFor(quality: CommonFields["quality"], { variant, defaults }: ModelInfo): number | undefined {
  const factor = quality === "low" ? LOW : quality === "high" || quality === "hd" ? HIGH : 1;
  if (factor === 1 || (variant !== "base" && variant !== "demo")) return undefined;
  return Math.min(MAX_STEPS, Math.max(1, Math.round(defaults.steps * factor)));
}

function qualityOf({ output_compression }: CommonFields, format: string): { quality?: number } {
  if (format === "png" || output_compression === null || output_compression === undefined) return {};
  return { quality: Math.max(1, output_compression) };
}

/**
 * Whether pictures come inside the answer. Where nobody says it, OpenAI's models of the GPT image family always answer so,
 * and DALL-E with links; the same for requests that name no model, by the fields that only the former have.
 */
export function wantsBase64(fields: CommonFields): boolean {
  const { response_format, model, stream } = fields;
  if (stream === true || response_format === "b64_json") return true;
  if (response_format === "url") return false;
  if (model !== null && model !== undefined && model !== "") return !model.startsWith("dall-e-");
  return [fields.output_format, fields.output_compression, fields.background].some(
    (value) => value !== null && value !== undefined,
  );
}

/** A ServiceError for a file that the form lacks. */
export function missing(field: string): ServiceError {
  return new ServiceError("invalid_request", `${field}: Missing required parameter: '${field}'.`, { field });
}
