import { ServiceError } from "../../errors.ts";
import { SIDE_MULTIPLE } from "../../jobs/limits.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import type { TextFields } from "./fields.ts";
import type { Size } from "./pictures.ts";

/** A1111's own, for requests that name neither. */
const DEFAULT_SCALE = 2;
const DEFAULT_STRENGTH = 0.75;
/** Enlargers that are here; names of the latent one begin with "Latent". */
export const UPSCALERS = ["None", "Lanczos", "Nearest"];

/** The second pass that a request asks for. Raises for a target of another shape than the picture. */
export function hiresOf(fields: TextFields, size: Size): NonNullable<GenerationRequestInput["hires"]> {
  const { hr_upscaler, hr_second_pass_steps: steps } = fields;
  const latent = hr_upscaler === null || hr_upscaler === undefined || /^latent/i.test(hr_upscaler);
  return {
    scale: scaleOf(fields, size),
    upscaler: latent ? "latent" : "lanczos",
    strength: fields.denoising_strength ?? DEFAULT_STRENGTH,
    ...(steps ? { steps } : {}),
  };
}

/** A target size goes before the scale, as in A1111, and one side of it is enough. */
function scaleOf({ hr_scale, hr_resize_x: x, hr_resize_y: y }: TextFields, { width, height }: Size): number {
  if (!x && !y) return hr_scale ?? DEFAULT_SCALE;
  const scale = x ? x / width : (y ?? 0) / height;
  const matches = !x || !y || Math.abs(height * scale - y) < SIDE_MULTIPLE;
  if (matches && scale >= 1 && scale <= 4) return scale;
  const rule = matches ? "1 to 4 times the first pass's" : "of the same shape as the first pass's";
  throw new ServiceError("invalid_request", `hires: hr_resize_x and hr_resize_y must give a size ${rule}.`, { field: "hires" });
}

export function hiresRemarks(fields: TextFields): string[] {
  const { hr_upscaler, hr_checkpoint_name, hr_sampler_name, hr_scheduler, hr_prompt, hr_negative_prompt } = fields;
  const isOther = (value: string | null | undefined, same: string | null | undefined) =>
    Boolean(value) && !/^(use same .*|automatic)$/i.test(value ?? "") && value !== same;
  const known = !hr_upscaler || /^latent/i.test(hr_upscaler) || UPSCALERS.includes(hr_upscaler);
  const remarks: [boolean, string][] = [
    [!known, `hr_upscaler: ${(hr_upscaler ?? "").slice(0, 100)} is not installed; Lanczos was used.`],
    [isOther(hr_checkpoint_name, undefined), "hr_checkpoint_name: both passes used one checkpoint."],
    [
      isOther(hr_sampler_name, fields.sampler_name) || isOther(hr_scheduler, fields.scheduler),
      "hr_sampler_name: both passes used one sampler.",
    ],
    [
      isOther(hr_prompt, fields.prompt) || isOther(hr_negative_prompt, fields.negative_prompt),
      "hr_prompt: both passes used one prompt.",
    ],
  ];
  return remarks.filter(([said]) => said).map(([, remark]) => remark);
}
