import type { Family } from "../checkpoint/family.ts";
import type { AdapterModules } from "./adapter-keys.ts";
import { splitNetwork } from "./adapter-targets.ts";

/** The kind of model that an adapter seems to have been made for. `transformer`: Flux, SD 3 and others without a UNet. */
export type AdapterFamily = Family | "sd2" | "transformer";

export const FAMILY_WORDS: Readonly<Record<AdapterFamily, string>> = {
  sdxl: "Stable Diffusion XL",
  "sdxl-refiner": "the Stable Diffusion XL refiner",
  sd15: "Stable Diffusion 1.5",
  sd2: "Stable Diffusion 2",
  transformer: "a transformer model (Flux, Stable Diffusion 3 or similar)",
};

/** Width of the text states that cross-attention takes in. */
const BY_TEXT_WIDTH: ReadonlyMap<number, AdapterFamily> = new Map([
  [2048, "sdxl"],
  [1280, "sdxl-refiner"],
  [768, "sd15"],
  [1024, "sd2"],
]);

/** Guesses by shapes first, which cannot lie, then by names, then by what the trainer wrote into the metadata. */
export function guessAdapterFamily(
  { modules }: AdapterModules,
  metadata: ReadonlyMap<string, string>,
): AdapterFamily | undefined {
  for (const [module, parts] of modules) {
    if (!/attn2[._]to_[kv]$/.test(module)) continue;
    const width = (parts.get("down") ?? parts.get("hada_w1_b"))?.shape[1];
    const family = width === undefined ? undefined : BY_TEXT_WIDTH.get(width);
    if (family !== undefined) return family;
  }
  const names = [...modules.keys()];
  if (
    names.some((name) =>
      /(double_blocks|single_blocks|joint_blocks|transformer_blocks[._]\d+[._]attn[._])|^(transformer|lora_transformer)[._]/.test(
        name,
      ),
    )
  )
    return "transformer";
  if (names.some((name) => splitNetwork(name).network === "text_encoder_2")) return "sdxl";
  return familyOfMetadata(metadata);
}

function familyOfMetadata(metadata: ReadonlyMap<string, string>): AdapterFamily | undefined {
  const text = `${metadata.get("ss_base_model_version") ?? ""} ${metadata.get("modelspec.architecture") ?? ""}`.toLowerCase();
  if (/sdxl|stable-diffusion-xl/.test(text)) return /refiner/.test(text) ? "sdxl-refiner" : "sdxl";
  if (/flux|sd3|stable-diffusion-3/.test(text)) return "transformer";
  if (/sd_v2|sd_2|stable-diffusion-v2/.test(text)) return "sd2";
  return /sd_v1|sd_1|stable-diffusion-v1/.test(text) ? "sd15" : undefined;
}
