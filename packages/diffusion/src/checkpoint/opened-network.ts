import { basename, dirname, join } from "node:path";
import { KilnError } from "../errors.ts";
import type { Family } from "./family.ts";
import { isFile, isFolder, openComponent, resolveSnapshot } from "./folder.ts";
import { inferControlNetConfig, inferTinyVaeConfig, inferVaeConfig } from "./infer-configs.ts";
import { type JsonObject, readJsonObject } from "./json.ts";
import type { Renamed } from "./layouts/renaming.ts";
import { renameTinyVae } from "./layouts/tiny-vae-names.ts";
import { renameVae } from "./layouts/vae-names.ts";
import type { ControlNetConfig, TinyVaeConfig, VaeConfig } from "./model-configs.ts";
import { parseTinyVaeConfig, parseVaeConfig } from "./parse-model-configs.ts";
import { parseControlNetConfig } from "./parse-unet-config.ts";
import { openSafetensors } from "./safetensors.ts";
import { controlNetOfFile, vaeOfFile } from "./single-file.ts";
import type { Weights } from "./tensor-view.ts";

/** One network that has files of its own. */
export interface OpenedNetwork<Config> {
  /** As it was named by the caller. */
  readonly path: string;
  readonly config: Config;
  readonly weights: Weights;
  /** Tensors that the network does not use. */
  readonly unknown: readonly string[];
  /** Bytes of the files on disk. */
  readonly bytes: number;
}

/**
 * Opens a VAE of its own: a component folder, a whole diffusers folder (its `vae` is taken), or a file in either layout.
 * @param family whose scaling factor a file without a config has
 * @param options.config a folder whose `config.json` (or `vae/config.json`) is used instead
 * @throws KilnError file_*, checkpoint_unknown where there is no VAE in it
 */
export async function openVae(
  path: string,
  options: { family?: Family; config?: string } = {},
): Promise<OpenedNetwork<VaeConfig>> {
  const { renamed, json, bytes } = await openNetwork(path, "vae", options.config, { folder: renameVae, file: vaeOfFile });
  if (renamed.weights.size === 0) throw nothingFound(path, "VAE");
  const config =
    json === undefined ? inferVaeConfig(renamed.weights, options.family ?? "sdxl", path) : parseVaeConfig(json.value, json.file);
  return { path, config, ...renamed, bytes };
}

/**
 * Opens a tiny autoencoder (TAESD): a folder of diffusers' AutoencoderTiny, or a file in its names or in its author's.
 * A file that holds one half alone is accepted: look at `weights` for `encoder.` and `decoder.`.
 * @throws KilnError file_*, checkpoint_unknown where there is none in it
 */
export async function openTinyVae(path: string, options: { config?: string } = {}): Promise<OpenedNetwork<TinyVaeConfig>> {
  const { renamed, json, bytes } = await openNetwork(path, "vae", options.config, { folder: renameTinyVae, file: renameTinyVae });
  const config = json === undefined ? inferTinyVaeConfig(renamed.weights, path) : parseTinyVaeConfig(json.value, json.file);
  return { path, config, ...renamed, bytes };
}

/**
 * Opens a ControlNet: a diffusers folder, or a file in diffusers' names or in original ones.
 * @throws KilnError file_*, checkpoint_unknown where there is none in it, or where it is none of the real ones and no config is given
 */
export async function openControlNet(path: string, options: { config?: string } = {}): Promise<OpenedNetwork<ControlNetConfig>> {
  const { renamed, json, bytes } = await openNetwork(path, "controlnet", options.config, {
    folder: controlNetOfFile,
    file: controlNetOfFile,
  });
  refuseOtherControls(path, renamed);
  if (!renamed.weights.has("controlnet_cond_embedding.conv_in.weight")) throw nothingFound(path, "ControlNet");
  const config =
    json === undefined ? inferControlNetConfig(renamed.weights, path).config : parseControlNetConfig(json.value, json.file);
  return { path, config, ...renamed, bytes };
}

function refuseOtherControls(path: string, { unknown }: Renamed): void {
  const kind = unknown.includes("lora_controlnet")
    ? "Control-LoRA"
    : unknown.some((name) => /^(task_embedding|control_add_embedding)/.test(name))
      ? "ControlNet Union"
      : undefined;
  if (kind === undefined) return;
  const message = `${path} is a ${kind}, a kind of network that Kiln does not implement: use a plain ControlNet for one condition.`;
  throw new KilnError("file_unsupported", message, { subject: path });
}

interface OpenedFiles {
  readonly renamed: Renamed;
  readonly json: { value: JsonObject; file: string } | undefined;
  readonly bytes: number;
}

/** Finds weights and config of one network; `subfolder` is its place in a whole diffusers folder. */
async function openNetwork(
  path: string,
  subfolder: string,
  configFolder: string | undefined,
  rename: { folder: (tensors: Weights) => Renamed; file: (tensors: Weights) => Renamed },
): Promise<OpenedFiles> {
  if (await isFolder(path)) {
    const root = await resolveSnapshot(path);
    const folder = (await isFolder(join(root, subfolder))) ? join(root, subfolder) : root;
    const { tensors, bytes } = await openComponent(folder);
    return { renamed: rename.folder(tensors), json: await readConfig(configFolder ?? folder, subfolder), bytes };
  }
  const file = await openSafetensors(path);
  const beside = /^(diffusion_pytorch_)?model(\.fp16)?\.safetensors$/.test(basename(path)) ? dirname(path) : undefined;
  const folder = configFolder ?? beside;
  const json = folder === undefined ? undefined : await readConfig(folder, subfolder);
  return { renamed: rename.file(file.tensors), json, bytes: file.size };
}

async function readConfig(folder: string, subfolder: string): Promise<OpenedFiles["json"]> {
  for (const file of [join(folder, subfolder, "config.json"), join(folder, "config.json")]) {
    if (await isFile(file)) return { value: await readJsonObject(file), file };
  }
  return undefined;
}

function nothingFound(path: string, what: string): KilnError {
  const message = `${path} holds no ${what} that Kiln knows: run kiln inspect on it to see what it is.`;
  return new KilnError("checkpoint_unknown", message, { subject: path });
}
