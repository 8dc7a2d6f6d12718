import { join } from "node:path";
import type { Family } from "./family.ts";
import { isFile } from "./folder.ts";
import { type JsonObject, readJsonObject } from "./json.ts";
import type { ClipTextConfig, SchedulerConfig, UNetConfig, VaeConfig } from "./model-configs.ts";
import { parseClipTextConfig, parseVaeConfig } from "./parse-model-configs.ts";
import { parseUNetConfig } from "./parse-unet-config.ts";
import { publishedVae } from "./published-vae.ts";
import { defaultScheduler } from "./scheduler-config.ts";

/** The configurations of a checkpoint's networks, and what its pipeline has to know. */
export interface CheckpointConfigs {
  readonly unet: UNetConfig;
  readonly vae: VaeConfig;
  readonly textEncoder?: ClipTextConfig;
  readonly textEncoder2?: ClipTextConfig;
  readonly scheduler: SchedulerConfig;
  /** A negative prompt that is not given becomes zeros in place of the encoded empty text (SDXL base). */
  readonly forceZerosForEmptyPrompt: boolean;
  /** `time_ids` end with an aesthetic score in place of the target size (refiner). */
  readonly requiresAestheticsScore: boolean;
}

/**
 * Reads the configs of a diffusers folder, which needs no weights for this.
 * @throws KilnError file_not_found without `unet/config.json`, file_corrupt, file_unsupported
 */
export async function readFolderConfigs(folder: string): Promise<{ family: Family; configs: CheckpointConfigs }> {
  const unetFile = join(folder, "unet", "config.json");
  const unet = parseUNetConfig(await readJsonObject(unetFile), unetFile);
  const index = (await readOptional(join(folder, "model_index.json"))) ?? {};
  const textEncoder = await readTextEncoder(join(folder, "text_encoder", "config.json"), false);
  const textEncoder2 = await readTextEncoder(join(folder, "text_encoder_2", "config.json"), true);
  const family = familyOf(unet, index, textEncoder !== undefined);
  const vaeFile = join(folder, "vae", "config.json");
  const vaeJson = await readOptional(vaeFile);
  const scheduler = await readOptional(join(folder, "scheduler", "scheduler_config.json"));
  const configs: CheckpointConfigs = {
    unet,
    vae: vaeJson === undefined ? publishedVae(family) : parseVaeConfig(vaeJson, vaeFile),
    ...(textEncoder === undefined ? {} : { textEncoder }),
    ...(textEncoder2 === undefined ? {} : { textEncoder2 }),
    scheduler: scheduler ?? defaultScheduler(family, "epsilon", false),
    forceZerosForEmptyPrompt:
      index.force_zeros_for_empty_prompt === undefined ? family === "sdxl" : index.force_zeros_for_empty_prompt === true,
    requiresAestheticsScore: index.requires_aesthetics_score === true,
  };
  return { family, configs };
}

/** `text_time` makes an SDXL; the refiner is the one with aesthetic scores, or without the first text encoder. */
function familyOf(unet: UNetConfig, index: JsonObject, hasTextEncoder: boolean): Family {
  if (unet.additionEmbedType === null) return "sd15";
  return index.requires_aesthetics_score === true || !hasTextEncoder ? "sdxl-refiner" : "sdxl";
}

async function readTextEncoder(file: string, projected: boolean): Promise<ClipTextConfig | undefined> {
  const json = await readOptional(file);
  return json === undefined ? undefined : parseClipTextConfig(json, file, projected);
}

async function readOptional(file: string): Promise<JsonObject | undefined> {
  return (await isFile(file)) ? readJsonObject(file) : undefined;
}
