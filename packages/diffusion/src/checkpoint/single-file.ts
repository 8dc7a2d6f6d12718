import { renameClip, renameOpenClip } from "./layouts/clip-names.ts";
import { type Renamed, underPrefix } from "./layouts/renaming.ts";
import { renameControlNet, renameUNet } from "./layouts/unet-names.ts";
import { renameVae } from "./layouts/vae-names.ts";
import type { Weights } from "./tensor-view.ts";

/** The networks that are recognised in one file, under our names. */
export interface SingleFileParts {
  readonly unet?: Weights;
  readonly vae?: Weights;
  readonly textEncoder?: Weights;
  readonly textEncoder2?: Weights;
  /** Empty tensors that say something by being there (`v_pred`, `ztsnr`). */
  readonly markers: ReadonlySet<string>;
  /** Tensors that no network uses. */
  readonly unknown: readonly string[];
}

const MARKERS = ["v_pred", "ztsnr", "edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min"];

/** What training leaves in original files: schedules, averaged copies of the weights, losses, counters. */
const LEFTOVERS =
  /^(betas|alphas_cumprod(_prev)?|(sqrt|log|posterior)_\w+|logvar|scale_factor|global_step|denoiser\.sigmas|model_ema\..+|first_stage_model\.loss\..+|loss\..+)$/;

type Part = "unet" | "vae" | "textEncoder" | "textEncoder2";

interface Place {
  readonly part: Part;
  /** Matches the prefix that a network's tensors have in a file. */
  readonly prefix: RegExp;
  readonly rename: (tensors: Weights) => Renamed;
}

/** Where each network lies in the single files that are around; the first place that has anything is taken. */
const PLACES: readonly Place[] = [
  { part: "unet", prefix: /^(model\.)?diffusion_model\./, rename: renameAnyUNet },
  { part: "vae", prefix: /^(first_stage_model|vae)\./, rename: renameVae },
  {
    part: "textEncoder",
    prefix: /^(conditioner\.embedders\.\d\.transformer|cond_stage_model\.transformer|text_encoders\.clip_l\.transformer)\./,
    rename: renameClip,
  },
  { part: "textEncoder2", prefix: /^(conditioner\.embedders\.\d\.model|cond_stage_model\.model)\./, rename: renameOpenClip },
  { part: "textEncoder2", prefix: /^text_encoders\.clip_g\.transformer\./, rename: renameClip },
];

/**
 * Sorts the tensors of a single file into networks: a whole original checkpoint, or a UNet or VAE alone with or without its
 * prefix, in original or diffusers' names.
 */
export function splitSingleFile(tensors: Weights): SingleFileParts {
  const parts: { -readonly [P in Part]?: Weights } = {};
  const unknown: string[] = [];
  const rest = new Map(tensors);
  const add = (part: Part, prefix: string, place: Place["rename"]) => {
    const { weights, unknown: strangers } = place(underPrefix(tensors, prefix));
    parts[part] = weights;
    unknown.push(...strangers.map((name) => prefix + name).filter((name) => !LEFTOVERS.test(name)));
    for (const name of tensors.keys()) if (name.startsWith(prefix)) rest.delete(name);
  };
  for (const { part, prefix, rename } of PLACES) {
    if (parts[part] !== undefined) continue;
    const found = firstMatch(tensors, prefix);
    if (found !== undefined) add(part, found, rename);
  }
  const markers = new Set(MARKERS.filter((name) => rest.delete(name)));
  for (const name of rest.keys()) if (LEFTOVERS.test(name)) rest.delete(name);
  if (parts.unet === undefined && isBareUNet(rest))
    return { unet: renameAnyUNet(rest).weights, markers, unknown: renameAnyUNet(rest).unknown };
  if (parts.vae === undefined && isBareVae(rest))
    return { vae: renameVae(rest).weights, markers, unknown: renameVae(rest).unknown };
  return { ...parts, markers, unknown: [...unknown, ...rest.keys()] };
}

/** A ControlNet alone in a file: diffusers' names, or original ones with or without `control_model.` before them. */
export function controlNetOfFile(tensors: Weights): Renamed {
  if (tensors.has("controlnet_cond_embedding.conv_in.weight")) return sortDiffusersNames(tensors);
  const prefixed = underPrefix(tensors, "control_model.");
  return renameControlNet(prefixed.size > 0 ? prefixed : tensors);
}

/** A VAE in a file of its own or inside a whole checkpoint. */
export function vaeOfFile(tensors: Weights): Renamed {
  const { vae, unknown } = splitSingleFile(tensors);
  return { weights: vae ?? new Map(), unknown };
}

/** Whether the tensors are a UNet's alone, without a prefix, in original or diffusers' names. */
export function isBareUNet(tensors: Weights): boolean {
  const ours =
    tensors.has("conv_in.weight") && tensors.has("time_embedding.linear_1.weight") && tensors.has("conv_norm_out.weight");
  return ours || (tensors.has("input_blocks.0.0.weight") && tensors.has("out.2.weight"));
}

/** The same of a VAE. */
export function isBareVae(tensors: Weights): boolean {
  return (
    tensors.has("decoder.conv_in.weight") &&
    (tensors.has("decoder.conv_norm_out.weight") || tensors.has("decoder.norm_out.weight"))
  );
}

function renameAnyUNet(tensors: Weights): Renamed {
  return tensors.has("conv_in.weight") ? sortDiffusersNames(tensors) : renameUNet(tensors);
}

const DIFFUSERS_UNET =
  /^(conv_in|conv_out|conv_norm_out|time_embedding|add_embedding|down_blocks|mid_block|up_blocks|controlnet_cond_embedding|controlnet_down_blocks|controlnet_mid_block)\..*(weight|bias)$/;

function sortDiffusersNames(tensors: Weights): Renamed {
  const names = [...tensors.keys()];
  return {
    weights: new Map([...tensors].filter(([name]) => DIFFUSERS_UNET.test(name))),
    unknown: names.filter((name) => !DIFFUSERS_UNET.test(name)),
  };
}

function firstMatch(tensors: Weights, prefix: RegExp): string | undefined {
  for (const name of tensors.keys()) {
    const found = prefix.exec(name)?.[0];
    if (found !== undefined) return found;
  }
  return undefined;
}
