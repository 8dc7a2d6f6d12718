import { z } from "zod";
import { number, wholeNumber } from "../field-errors.ts";
import { looseFlag } from "../loose.ts";

/** The contract's limits. */
const MAX_TEXT = 1000;
const MIN_SIDE = 256;
const MAX_SIDE = 2048;
const SIDE_MULTIPLE = 64;
/** The native request's; more LoRAs than this wash each other out. */
const MAX_LORAS = 8;
const MAX_LORA_WEIGHT = 4;

/** The names that requests use for checkpoints. */
export const MODEL_KEYS = ["lightning", "hyper", "base"] as const;
export type ModelKey = (typeof MODEL_KEYS)[number];

export const SCHEDULER_KEYS = ["auto", "euler", "euler_a", "dpm_multi", "dpm_single", "dpm_sde", "ddim", "lcm"] as const;
export type SchedulerKey = (typeof SCHEDULER_KEYS)[number];

const side = wholeNumber((schema) => schema.min(MIN_SIDE).max(MAX_SIDE).multipleOf(SIDE_MULTIPLE)).nullish();
const fraction = number((schema) => schema.min(0).max(1));
const name = z.string().min(1).max(200);

export const depthRequestSchema = z
  .object({
    prompt: z.string().min(1).max(MAX_TEXT),
    negative_prompt: z.string().max(MAX_TEXT).nullish(),
    depth_map_b64: z.string().nullish(),
    mock_depth: looseFlag.default(false),
    model: z.enum(MODEL_KEYS).nullish(),
    era: z.string().max(100).nullish(),
    loras: z
      .array(z.object({ name, strength: number((schema) => schema.min(-MAX_LORA_WEIGHT).max(MAX_LORA_WEIGHT)).default(1) }))
      .max(MAX_LORAS)
      .nullish(),
    steps: wholeNumber((schema) => schema.min(1).max(50)).nullish(),
    cfg: number((schema) => schema.min(0.1).max(20)).nullish(),
    seed: wholeNumber((schema) => schema.min(0)).nullish(),
    lora_strength: number((schema) => schema.min(0).max(2)).default(1),
    controlnet_strength: number((schema) => schema.min(0).max(2)).default(0.8),
    control_guidance_start: fraction.default(0),
    control_guidance_end: fraction.default(1),
    scheduler: z.enum(SCHEDULER_KEYS).default("auto"),
    use_karras_sigmas: looseFlag.nullish(),
    width: side,
    height: side,
    use_jpeg: looseFlag.default(true),
  })
  .superRefine(({ control_guidance_start, control_guidance_end }, context) => {
    if (control_guidance_start >= control_guidance_end)
      context.addIssue({
        code: "custom",
        path: ["control_guidance_end"],
        message: "must be greater than control_guidance_start",
      });
  });

export type DepthRequest = z.output<typeof depthRequestSchema>;

/** The contract's names for fields of the native request, in errors. */
export const DEPTH_FIELDS: Readonly<Record<string, string>> = {
  guidance_scale: "cfg",
  controls: "depth_map_b64",
};
