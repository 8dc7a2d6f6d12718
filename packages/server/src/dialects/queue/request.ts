import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import { recipeFor } from "../contract-recipe.ts";
import { number, wholeNumber } from "../field-errors.ts";
import { looseFlag } from "../loose.ts";

/** Characters of a `context`: some pages of a conversation. */
const MAX_CONTEXT_CHARACTERS = 20_000;
/** The contract's own: pictures are JPEG of this quality, and the refiner runs so many steps. */
const JPEG_QUALITY = 95;
const REFINER_STEPS = 20;
/** The contract's own where a request leaves them out; the scheduler is DPM++ multistep. */
const RECIPE = { steps: 30, guidance_scale: 7.5, scheduler: "dpmpp_2m" };
/** It becomes a folder of the storage key. */
const subject = z
  .string()
  .regex(
    /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/,
    "must be 1 to 100 letters, digits, dots, dashes or underscores, and not begin with a dot",
  );
const level = wholeNumber((schema) => schema.min(0).max(100)).default(50);
const PRIORITIES = ["urgent", "high", "normal"] as const;

export const queueRequestSchema = z
  .object({
    girl_id: subject.nullish(),
    subject_id: subject.nullish(),
    user_id: wholeNumber(),
    prompt: z.string().min(1),
    negative_prompt: z.string().nullish(),
    context: z.string().max(MAX_CONTEXT_CHARACTERS).nullish(),
    affection_level: level,
    nsfw_level: level,
    num_inference_steps: wholeNumber((schema) => schema.min(20).max(50)).optional(),
    guidance_scale: number((schema) => schema.min(5).max(15)).optional(),
    high_quality: looseFlag.default(false),
    /** By the contract every other value is a normal one. */
    priority: z.enum(PRIORITIES).catch("normal"),
  })
  .superRefine(({ girl_id, subject_id }, context) => {
    if ((girl_id ?? subject_id ?? undefined) === undefined)
      context.addIssue({ code: "custom", path: ["girl_id"], message: "Field required" });
  });

export type QueueRequest = z.output<typeof queueRequestSchema>;

/** The contract's names for fields of the native request, in errors. */
export const QUEUE_FIELDS: Readonly<Record<string, string>> = {
  steps: "num_inference_steps",
  content_ceiling: "nsfw_level",
  refiner: "high_quality",
  user: "user_id",
};

/** The native request that a request of the contract means. */
export function toNative(request: QueueRequest, context: ServerContext): GenerationRequestInput {
  const { catalogue, presets, settings } = context;
  // An empty one is the contract's way to want none; one that is left out is the operator's, else the model's.
  const negative = request.negative_prompt ?? (presets.negative_prompt === "" ? undefined : presets.negative_prompt);
  return {
    prompt: fillTemplate(request, presets.tiers),
    ...(negative === undefined ? {} : { negative_prompt: negative }),
    ...recipeFor(RECIPE, catalogue.default(), context),
    ...(request.num_inference_steps === undefined ? {} : { steps: request.num_inference_steps }),
    ...(request.guidance_scale === undefined ? {} : { guidance_scale: request.guidance_scale }),
    ...(request.high_quality ? { refiner: { mode: "pass", steps: REFINER_STEPS, ...refinerOf(settings.SDXL_REFINER_ID) } } : {}),
    priority: request.priority,
    content_ceiling: request.nsfw_level,
    subject_id: request.girl_id ?? request.subject_id ?? undefined,
    user: String(request.user_id),
    output: { format: "jpeg", quality: JPEG_QUALITY },
    preview: false,
  };
}

function refinerOf(named: string | undefined): { model?: string } {
  return named === undefined ? {} : { model: named };
}

/** The operator's template of the request's tier; without templates the prompt is the request's own. */
function fillTemplate(
  { prompt, context, affection_level }: QueueRequest,
  tiers: readonly { below: number; template: string }[],
): string {
  const tier = tiers.find(({ below }) => affection_level < below) ?? tiers.at(-1);
  if (!tier) return prompt;
  const values: Record<string, string> = { prompt, context: context ?? "" };
  return tier.template.replace(/\{(prompt|context)\}/g, (_, name: string) => values[name] ?? "");
}
