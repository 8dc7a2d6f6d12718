import type { ServerContext } from "../../http/dialect.ts";
import { SIDE_MULTIPLE } from "../../jobs/limits.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import type { TextFields } from "./fields.ts";
import type { Size } from "./pictures.ts";
import { networksNotFound, readPrompt, stylesOf, withStyles } from "./prompt.ts";
import { hiresSamplerOf } from "./sampler.ts";

/** A1111's own, for requests that name neither. */
const DEFAULT_SCALE = 2;
const DEFAULT_STRENGTH = 0.75;
/** Enlargers of pixels that are here, and of latents: A1111's names for those begin with "Latent". */
export const UPSCALERS = ["None", "Lanczos", "Nearest"];
export const LATENT_UPSCALERS = ["Latent"];

type Hires = NonNullable<GenerationRequestInput["hires"]>;

/**
 * The second pass that a request asks for, and what of it is done otherwise. Raises for an unknown sampler and a checkpoint
 * that is not installed.
 */
export function hiresOf(fields: TextFields, size: Size, context: ServerContext): { hires: Hires; remarks: string[] } {
  const { hr_upscaler, hr_second_pass_steps: steps, hr_cfg: guidance } = fields;
  const latent = hr_upscaler === null || hr_upscaler === undefined || /^latent/i.test(hr_upscaler);
  const a1111 = hiresSamplerOf(fields);
  const words = wordsOf(fields, context);
  const hires: Hires = {
    ...targetOf(fields, size),
    upscaler: latent ? "latent" : "lanczos",
    strength: fields.denoising_strength ?? DEFAULT_STRENGTH,
    ...(steps ? { steps } : {}),
    ...(typeof guidance === "number" ? { guidance_scale: guidance } : {}),
    ...(a1111 ? { a1111 } : {}),
    ...checkpointOf(fields, context),
    ...words.hires,
  };
  return { hires, remarks: [...upscalerRemarks(hr_upscaler, latent), ...words.remarks] };
}

function upscalerRemarks(name: string | null | undefined, latent: boolean): string[] {
  // "None" is Lanczos to A1111 too.
  if (!name || LATENT_UPSCALERS.includes(name) || name === "None" || name === "Lanczos") return [];
  return [`hr_upscaler: ${name.slice(0, 100)} is not installed for hires fix; ${latent ? "Latent" : "Lanczos"} was used.`];
}

/** A target size goes before the scale, as in A1111, and one side of it is enough: the other one follows from the picture's shape. */
function targetOf(
  { hr_scale, hr_resize_x: x, hr_resize_y: y }: TextFields,
  { width, height }: Size,
): Pick<Hires, "scale" | "size"> {
  if (!x && !y) return { scale: hr_scale ?? DEFAULT_SCALE };
  const whole = (side: number) => side - (side % SIDE_MULTIPLE);
  return {
    size: {
      width: whole(x || Math.floor(((y ?? 0) * width) / height)),
      height: whole(y || Math.floor(((x ?? 0) * height) / width)),
    },
  };
}

/** Empty prompts are the first pass's, as in A1111. A prompt brings its own LoRAs, and the first pass's do not act then. */
function wordsOf(fields: TextFields, context: ServerContext): { hires: Partial<Hires>; remarks: string[] } {
  const { hr_prompt: prompt, hr_negative_prompt: negative } = fields;
  const isOther = (own: string | null | undefined, first: string | null | undefined): own is string =>
    own !== null && own !== undefined && own !== "" && own !== first;
  const styled = isOther(prompt, fields.prompt)
    ? readPrompt(withStyles(prompt, fields.styles ?? [], stylesOf(context)), context)
    : undefined;
  return {
    hires: {
      // An empty prompt is one to A1111.
      ...(styled ? { prompt: styled.text === "" ? " " : styled.text, loras: styled.loras } : {}),
      ...(isOther(negative, fields.negative_prompt) ? { negative_prompt: readPrompt(negative, context).text } : {}),
    },
    remarks: styled ? networksNotFound(styled) : [],
  };
}

function checkpointOf({ hr_checkpoint_name: name }: TextFields, { catalogue }: ServerContext): Pick<Hires, "model"> {
  if (!name || /^(none|use same checkpoint)$/i.test(name)) return {};
  return { model: catalogue.require(name, "checkpoint", "hires").id };
}
