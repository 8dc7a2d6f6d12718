import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import { MAX_SEED_DELTA } from "../../jobs/limits.ts";
import type { ModelInfo } from "../../models/model.ts";
import { wholeNumber } from "../field-errors.ts";
import { looseFlag } from "../loose.ts";

const FORMATS = { png: "png", jpg: "jpeg", jpeg: "jpeg", webp: "webp" } as const;

/** The settings that mean something here; all others are kept and given back. */
export const settingsSchema = z.looseObject({
  sd_model_checkpoint: z.string().max(500).nullish(),
  sd_vae: z.string().max(500).nullish(),
  /** Forge's name for it: VAE and text encoders to be used, by file. */
  forge_additional_modules: z.array(z.string().max(500)).max(16).nullish(),
  CLIP_stop_at_last_layers: wholeNumber((schema) => schema.min(1).max(12)).nullish(),
  sdxl_clip_l_skip: looseFlag.nullish(),
  randn_source: z.enum(["GPU", "CPU", "NV"]).nullish(),
  eta_noise_seed_delta: wholeNumber((schema) => schema.min(-MAX_SEED_DELTA).max(MAX_SEED_DELTA)).nullish(),
  samples_format: z.enum(["png", "jpg", "jpeg", "webp"]).nullish(),
  jpeg_quality: wholeNumber((schema) => schema.min(1).max(100)).nullish(),
});

export type Settings = z.output<typeof settingsSchema>;

/** What A1111 answers when nobody has set anything, as far as clients look at it. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  samples_save: true,
  samples_format: "png",
  samples_filename_pattern: "",
  grid_save: false,
  grid_format: "png",
  return_grid: false,
  enable_pnginfo: true,
  save_txt: false,
  jpeg_quality: 80,
  webp_lossless: false,
  export_for_4chan: false,
  use_original_name_batch: true,
  do_not_show_images: false,
  outdir_samples: "",
  outdir_txt2img_samples: "outputs/txt2img-images",
  outdir_img2img_samples: "outputs/img2img-images",
  outdir_extras_samples: "outputs/extras-images",
  ESRGAN_tile: 192,
  upscaler_for_img2img: null,
  face_restoration: false,
  face_restoration_model: null,
  code_former_weight: 0.5,
  api_enable_requests: false,
  sd_model_checkpoint: null,
  sd_checkpoint_hash: "",
  sd_checkpoint_cache: 0,
  sd_vae: "Automatic",
  sd_vae_as_default: true,
  sd_unet: "Automatic",
  sd_lora: "None",
  lora_preferred_name: "Alias from file",
  inpainting_mask_weight: 1,
  initial_noise_multiplier: 1,
  img2img_color_correction: false,
  img2img_fix_steps: false,
  enable_emphasis: true,
  emphasis: "Original",
  enable_batch_seeds: true,
  comma_padding_backtrack: 20,
  CLIP_stop_at_last_layers: 1,
  sdxl_clip_l_skip: false,
  sdxl_crop_top: 0,
  sdxl_crop_left: 0,
  randn_source: "GPU",
  tiling: false,
  token_merging_ratio: 0,
  s_min_uncond: 0,
  hide_samplers: [],
  eta_ddim: 0,
  eta_ancestral: 1,
  ddim_discretize: "uniform",
  s_churn: 0,
  s_tmin: 0,
  s_noise: 1,
  eta_noise_seed_delta: 0,
  always_discard_next_to_last_sigma: false,
  live_previews_enable: true,
  live_previews_image_format: "png",
  show_progress_every_n_steps: 10,
  show_progress_type: "Approx NN",
  live_preview_refresh_period: 1000,
  interrogate_return_ranks: false,
  control_net_unit_count: 4,
  control_net_no_detectmap: true,
  disabled_extensions: [],
  disable_all_extensions: "none",
};

/** A1111's whole settings object: its defaults, the model in use, and what the caller has set. */
export function shownSettings(stored: Readonly<Record<string, unknown>>, context: ServerContext): Record<string, unknown> {
  const merged = { ...DEFAULTS, ...stored };
  return { ...merged, sd_model_checkpoint: chosenModel(merged.sd_model_checkpoint, context)?.id ?? null };
}

/** The settings that hold for one request: those of the caller, and over them the request's own. */
export function settingsFor(stored: Readonly<Record<string, unknown>>, overrides: Settings): Settings {
  const given = Object.entries(overrides).filter(([, value]) => value !== null && value !== undefined);
  const own = settingsSchema.safeParse({ ...DEFAULTS, ...stored, ...Object.fromEntries(given) });
  return own.success ? own.data : settingsSchema.parse({ ...DEFAULTS, ...Object.fromEntries(given) });
}

export function formatOf({ samples_format, jpeg_quality }: Settings): { format: "png" | "jpeg" | "webp"; quality?: number } {
  const format = FORMATS[samples_format ?? "png"];
  return { format, ...(format === "png" ? {} : { quality: jpeg_quality ?? 80 }) };
}

/** The VAE that a caller has chosen. `unknown` is its name where there is no such VAE: A1111 goes on with the checkpoint's own. */
export function chosenVae(
  { sd_vae, forge_additional_modules }: Settings,
  { catalogue }: ServerContext,
): { vae: ModelInfo | undefined; unknown: string | undefined } {
  const named = sd_vae && !/^(automatic|none)$/i.test(sd_vae) ? [sd_vae] : [];
  // Forge's clients send paths, of which the file's name is enough.
  const modules = (forge_additional_modules ?? []).map((path) => path.split(/[\\/]/).at(-1) ?? path);
  const vae = [...named, ...modules].map((name) => catalogue.find(name, "vae")).find((found) => found !== undefined);
  return { vae, unknown: vae ? undefined : named[0] };
}

/** The name that A1111 has for a VAE: its file's. */
export function nameOfVae({ id, path }: ModelInfo): string {
  return path.endsWith(".safetensors") ? `${id}.safetensors` : id;
}

/** The checkpoint that a caller has chosen; the default one where it is not there any more. */
export function chosenModel(name: unknown, { catalogue }: ServerContext): ModelInfo | undefined {
  const found = typeof name === "string" && name !== "" ? catalogue.find(name, "checkpoint") : undefined;
  if (found) return found;
  try {
    return catalogue.default();
  } catch {
    return undefined;
  }
}
