import { z } from "zod";
import * as limits from "./limits.ts";

const MAX_SEED = 2n ** 64n - 1n;

const prompt = z.string().max(limits.MAX_PROMPT_CHARACTERS);
const side = z.int().min(limits.MIN_SIDE).max(limits.MAX_SIDE).multipleOf(limits.SIDE_MULTIPLE);
const hiresSide = z.int().min(limits.MIN_SIDE).max(limits.MAX_HIRES_SIDE).multipleOf(limits.SIDE_MULTIPLE);
/** `upload:ID`, `image:ID`, base64 or a data URL. */
const picture = z.string().min(1).max(limits.MAX_BODY_BYTES).meta({ description: "upload:ID, image:ID, base64 or a data URL" });
const name = z.string().min(1).max(200);
const guidanceScale = z.number().min(0).max(30);
const scheduler = z.string().min(1).max(100);
const sizeTuple = z.tuple([z.int().min(0).max(8192), z.int().min(0).max(8192)]).meta({ description: "[height, width]" });

/** A seed as a decimal string, so that all 64 bits survive JSON. */
const seed = z
  .union([z.int().min(0), z.string().regex(/^\d{1,20}$/)])
  .nullable()
  .transform((value) => (value === null ? null : String(value)))
  .refine((value) => value === null || BigInt(value) <= MAX_SEED, "must be at most 2^64 - 1");

/** Another seed's noise that is mixed into the picture's. */
const variation = z.object({
  seed: seed.optional(),
  strength: z.number().min(0).max(1),
});

const lora = z.object({
  name,
  weight: z.number().min(-4).max(4).default(1),
  /** The weight for the text encoders, where it is another one. */
  text_encoder_weight: z.number().min(-4).max(4).optional(),
});

/** A textual inversion that the prompts may name. */
const embedding = z.object({
  name,
  /** What calls it in the prompts, beside its name and the token that its file names. */
  token: z.string().min(1).max(100).optional(),
});

/** What A1111 lets its users set beside sampler and schedule. */
const a1111Options = z.object({
  eta: z.number().min(0).max(10).optional(),
  s_churn: z.number().min(0).max(1000).optional(),
  s_tmin: z.number().min(0).max(1e6).optional(),
  s_tmax: z.number().min(0).max(1e6).optional(),
  s_noise: z.number().min(0).max(10).optional(),
});

/** Sampler and schedule as A1111 computes them. */
const a1111 = z.object({
  sampler: z.string().min(1).max(100),
  schedule: z.string().max(100).optional(),
  options: a1111Options.optional(),
});

/** How a mask is painted over. */
const inpaint = z.object({
  /** The whole picture, or at the drawn size the part around the mask, which goes back into the picture. */
  region: z.enum(["whole", "masked"]).default("whole"),
  /** Pixels of the picture around the mask that are drawn with it. */
  padding: z.int().min(0).max(limits.MAX_MASK_PADDING).default(32),
  /** Standard deviation in pixels by which the mask's edge is softened. */
  blur: z.number().min(0).max(limits.MAX_MASK_BLUR).default(4),
  /** Along the columns, where it is another one. */
  blur_y: z.number().min(0).max(limits.MAX_MASK_BLUR).optional(),
  /** What is under the mask before it is drawn: the picture itself, the colours around it, noise, or latents of zero. */
  fill: z.enum(["original", "fill", "latent_noise", "latent_nothing"]).default("original"),
});

const control = z.object({
  model: name,
  image: picture,
  scale: z.number().min(0).max(2).default(1),
  start: z.number().min(0).max(1).default(0),
  end: z.number().min(0).max(1).default(1),
  /** What counts more where prompt and map disagree; left out: neither. */
  mode: z.enum(["balanced", "prompt", "control"]).optional(),
  preprocess: z.string().max(50).default("none"),
});

const refiner = z.object({
  model: name.optional(),
  mode: z.enum(["ensemble", "pass"]),
  switch_at: z.number().gt(0).lt(1).default(0.8),
  strength: z.number().min(0).max(1).default(0.3),
  steps: z.int().min(1).max(limits.MAX_STEPS).optional(),
});

const hires = z.object({
  scale: z.number().min(1).max(4).default(2),
  /** Goes before the scale. Where its shape is another one, the first picture is enlarged to cover it and cut at its edges. */
  size: z.object({ width: hiresSide, height: hiresSide }).optional(),
  upscaler: name.default("lanczos"),
  strength: z.number().min(0).max(1).default(0.35),
  steps: z.int().min(1).max(limits.MAX_STEPS).optional(),
  /** Who draws the second time: the model (left out too), or the refiner alone, whose own mode then does not count. */
  by: z.enum(["base", "refiner"]).optional(),
  /** What follows is the second pass's own; left out: the request's. The checkpoint must be of the same family. */
  model: name.optional(),
  prompt: prompt.min(1).optional(),
  negative_prompt: prompt.optional(),
  guidance_scale: guidanceScale.optional(),
  scheduler: scheduler.optional(),
  a1111: a1111.optional(),
  loras: z.array(lora).max(limits.MAX_LORAS).optional(),
});

/** The part of a storage key that a request may choose: plain path segments, no dots at their start. */
const storageKey = z
  .string()
  .min(1)
  .max(300)
  .regex(
    /^(?:[A-Za-z0-9_-]|\{job_id\})(?:[A-Za-z0-9._-]|\{job_id\})*(?:\/(?:[A-Za-z0-9_-]|\{job_id\})(?:[A-Za-z0-9._-]|\{job_id\})*)*$/,
    "must be path segments of letters, digits, dot, dash and underscore",
  );

const output = z.object({
  format: z.enum(["png", "jpeg", "webp"]).default("png"),
  quality: z.int().min(1).max(100).optional(),
  metadata: z.boolean().optional(),
  /** The finished picture is enlarged by this much (Lanczos), without another pass. */
  scale: z.number().min(1).max(4).optional(),
  key: storageKey.optional().meta({ description: "Storage key without extension; the picture's index is appended when n > 1" }),
  thumbnail_key: storageKey.optional(),
});

/** The one request that every face translates to. Fields that are left out come from the model. */
export const generationRequestSchema = z
  .object({
    prompt: prompt.min(1),
    negative_prompt: prompt.optional(),
    prompt_2: prompt.optional(),
    negative_prompt_2: prompt.optional(),
    prompt_syntax: z.enum(["plain", "a1111"]).default("plain"),
    model: name.optional(),
    /** The operator's preset of this name: its fields are the defaults of this request. */
    preset: name.optional(),
    width: side.optional(),
    height: side.optional(),
    steps: z.int().min(1).max(limits.MAX_STEPS).optional(),
    guidance_scale: guidanceScale.optional(),
    guidance_rescale: z.number().min(0).max(1).default(0),
    scheduler: scheduler.optional(),
    /** Fields of diffusers' scheduler configuration that go over the model's own. */
    scheduler_config: z.record(z.string().max(60), z.union([z.number(), z.boolean(), z.string().max(60)])).optional(),
    /** Sampler and schedule as A1111 computes them, in place of `scheduler`. */
    a1111: a1111.optional(),
    eta: z.number().min(0).max(1).optional(),
    seed: seed.optional(),
    /** Left out: none. With one, all pictures share the seed, and its seeds follow one another. */
    variation: variation.optional(),
    /** The size at which the seed was found: its noise lies in the middle of this picture's. */
    seed_resize_from: z.object({ width: side, height: side }).optional(),
    /** Added to the seed for all noise after that which the picture grows from: A1111's eta noise seed delta. */
    noise_seed_delta: z.int().min(-limits.MAX_SEED_DELTA).max(limits.MAX_SEED_DELTA).optional(),
    noise: z.enum(["torch-cpu", "philox"]).default("torch-cpu"),
    n: z.int().min(1).max(limits.MAX_PICTURES).default(1),
    clip_skip: z.int().min(0).max(12).default(0),
    image: picture.optional(),
    strength: z.number().min(0).max(1).optional(),
    mask: picture.optional(),
    /** Left out: as diffusers inpaints. With it the picture outside the mask stays as it is to the pixel, as in A1111. */
    inpaint: inpaint.optional(),
    controls: z.array(control).max(limits.MAX_CONTROLS).default([]),
    loras: z.array(lora).max(limits.MAX_LORAS).optional(),
    /** A VAE in place of the checkpoint's own. */
    vae: name.optional(),
    /** Left out: none in the plain syntax; in A1111's, those that the prompts name, as there. */
    embeddings: z.array(embedding).max(limits.MAX_EMBEDDINGS).optional(),
    refiner: refiner.optional(),
    hires: hires.optional(),
    original_size: sizeTuple.optional(),
    crop: sizeTuple.optional(),
    target_size: sizeTuple.optional(),
    aesthetic_score: z.number().min(0).max(10).optional(),
    priority: z.enum(["urgent", "high", "normal"]).default("normal"),
    deadline_seconds: z.number().gt(0).max(limits.MAX_DEADLINE_SECONDS).optional(),
    webhook: z
      .object({ url: z.url({ protocol: /^https?$/ }).max(2000), secret: z.string().min(1).max(200).optional() })
      .optional(),
    output: output.prefault({}),
    preview: z.boolean().default(true),
    content_ceiling: z.int().min(0).max(100).optional(),
    subject_id: z
      .string()
      .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/, "must be 1 to 100 letters, digits, dots, dashes or underscores")
      .optional(),
    user: z.string().max(200).optional(),
    tags: z.array(z.string().max(100)).max(limits.MAX_TAGS).default([]),
  })
  .superRefine((request, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (request.mask !== undefined && request.image === undefined)
      issue("mask", "needs an image: a mask says which part of it is made anew");
    if (request.inpaint && request.mask === undefined) issue("inpaint", "needs a mask: it says how that is painted over");
    if (request.hires?.by === "refiner" && !request.refiner)
      context.addIssue({ code: "custom", path: ["hires", "by"], message: "needs refiner: it draws the second time" });
    if (request.strength !== undefined && request.image === undefined)
      issue("strength", "needs an image: it says how much of it is made anew");
    for (const [index, { start, end }] of request.controls.entries()) {
      if (start >= end)
        context.addIssue({ code: "custom", path: ["controls", index, "end"], message: "must be greater than start" });
    }
  });

/** What a client may send. */
export type GenerationRequestInput = z.input<typeof generationRequestSchema>;
/** A validated request; the model's defaults are not in it yet. */
export type GenerationRequest = z.output<typeof generationRequestSchema>;

/** A request that says everything: what the worker runs and the job's record shows. Pictures are references, never bytes. */
export interface CompleteRequest extends GenerationRequest {
  model: string;
  width: number;
  height: number;
  steps: number;
  guidance_scale: number;
  scheduler: string;
  /** Nobody named a scheduler: `scheduler` says which one the model brings. */
  scheduler_from_model: boolean;
  /** As pictures' parameters write it. */
  scheduler_label: string;
  seed: string;
  variation?: { seed: string; strength: number };
  /** Timesteps of a few-step recipe that no spacing gives, where nobody named steps or scheduler. */
  timesteps?: number[];
  /** The model or LoRA whose recipe filled in steps, guidance and scheduler. */
  defaults_from?: string;
  loras: { name: string; weight: number; text_encoder_weight?: number | undefined }[];
  /** Absent where no prompt names one; so are all jobs of earlier versions. */
  embeddings?: { name: string; token?: string | undefined }[];
}
