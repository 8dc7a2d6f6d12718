import { z } from "zod";
import {
  MAX_BODY_BYTES,
  MAX_MASK_BLUR,
  MAX_MASK_PADDING,
  MAX_PICTURES,
  MAX_SIDE,
  MAX_STEPS,
  MIN_SIDE,
  SIDE_MULTIPLE,
} from "../../jobs/limits.ts";
import { number, wholeNumber } from "../field-errors.ts";
import { looseFlag, looseSeed } from "../loose.ts";
import { settingsSchema } from "./settings.ts";

/** Pictures of one call: all of them lie in its answer, and in memory until it is sent. */
export const MAX_CALL_PICTURES = 64;
/** Pictures to start from in one call. */
const MAX_INIT_IMAGES = 8;

const flag = looseFlag.nullish();
const text = z.string().nullish();
const anyNumber = number().nullish();
const whole = wholeNumber().nullish();
const fraction = number((schema) => schema.min(0).max(1)).nullish();
const blur = number((schema) => schema.min(0).max(MAX_MASK_BLUR)).nullish();
const picture = z.string().max(MAX_BODY_BYTES);
/** Cut down to a multiple of eight, as A1111 does. */
const side = wholeNumber((schema) => schema.min(MIN_SIDE).max(MAX_SIDE + SIDE_MULTIPLE - 1))
  .transform((value) => value - (value % SIDE_MULTIPLE))
  .nullish();
/** 0 and -1 are none, as in A1111. */
const resizeSide = z.union([side, wholeNumber((schema) => schema.min(-1).max(0)).transform(() => undefined)]);

const common = {
  prompt: text,
  negative_prompt: text,
  styles: z.array(z.string()).nullish(),
  seed: looseSeed,
  subseed: looseSeed,
  subseed_strength: fraction,
  seed_resize_from_h: resizeSide,
  seed_resize_from_w: resizeSide,
  sampler_name: text,
  sampler_index: text,
  scheduler: text,
  batch_size: wholeNumber((schema) => schema.min(1).max(MAX_PICTURES)).nullish(),
  n_iter: wholeNumber((schema) => schema.min(1).max(MAX_CALL_PICTURES)).nullish(),
  steps: wholeNumber((schema) => schema.min(1).max(MAX_STEPS)).nullish(),
  cfg_scale: number((schema) => schema.min(0).max(30)).nullish(),
  width: side,
  height: side,
  restore_faces: flag,
  tiling: flag,
  do_not_save_samples: flag,
  do_not_save_grid: flag,
  eta: number((schema) => schema.min(0).max(10)).nullish(),
  denoising_strength: fraction,
  s_min_uncond: anyNumber,
  s_churn: number((schema) => schema.min(0).max(1000)).nullish(),
  s_tmax: number((schema) => schema.min(0).max(1e6)).nullish(),
  s_tmin: number((schema) => schema.min(0).max(1e6)).nullish(),
  s_noise: number((schema) => schema.min(0).max(10)).nullish(),
  override_settings: settingsSchema.nullish(),
  override_settings_restore_afterwards: flag,
  refiner_checkpoint: text,
  refiner_switch_at: number((schema) => schema.min(0).max(1)).nullish(),
  comments: z.record(z.string(), z.unknown()).nullish(),
  script_name: text,
  script_args: z.array(z.unknown()).nullish(),
  send_images: flag,
  save_images: flag,
  alwayson_scripts: z.record(z.string(), z.unknown()).nullish(),
  controlnet_units: z.array(z.unknown()).nullish(),
  force_task_id: z.string().max(200).nullish(),
  infotext: text,
};

export const txt2imgSchema = z.object({
  ...common,
  enable_hr: flag,
  firstphase_width: whole,
  firstphase_height: whole,
  hr_scale: number((schema) => schema.min(1).max(4)).nullish(),
  hr_upscaler: text,
  hr_second_pass_steps: wholeNumber((schema) => schema.min(0).max(MAX_STEPS)).nullish(),
  hr_resize_x: wholeNumber((schema) => schema.min(0).max(4 * MAX_SIDE)).nullish(),
  hr_resize_y: wholeNumber((schema) => schema.min(0).max(4 * MAX_SIDE)).nullish(),
  hr_checkpoint_name: text,
  hr_sampler_name: text,
  hr_scheduler: text,
  /** Forge's. */
  hr_cfg: number((schema) => schema.min(0).max(30)).nullish(),
  hr_prompt: text,
  hr_negative_prompt: text,
});

export const img2imgSchema = z.object({
  ...common,
  init_images: z.array(picture).min(1).max(MAX_INIT_IMAGES),
  resize_mode: wholeNumber((schema) => schema.min(0).max(3)).nullish(),
  image_cfg_scale: anyNumber,
  mask: picture.nullish(),
  mask_blur: blur,
  mask_blur_x: blur,
  mask_blur_y: blur,
  mask_round: flag,
  inpainting_fill: wholeNumber((schema) => schema.min(0).max(3)).nullish(),
  inpaint_full_res: flag,
  inpaint_full_res_padding: wholeNumber((schema) => schema.min(0).max(MAX_MASK_PADDING)).nullish(),
  inpainting_mask_invert: wholeNumber((schema) => schema.min(0).max(1)).nullish(),
  initial_noise_multiplier: anyNumber,
  include_init_images: flag,
});

export type CommonFields = z.output<z.ZodObject<typeof common>>;
export type TextFields = z.output<typeof txt2imgSchema>;
export type ImageFields = z.output<typeof img2imgSchema>;
