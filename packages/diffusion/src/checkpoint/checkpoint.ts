import { join } from "node:path";
import { KilnError } from "../errors.ts";
import type { Prediction } from "../schedulers/prediction.ts";
import { checkWeights } from "./check-weights.ts";
import { type CheckpointConfigs, readFolderConfigs } from "./checkpoint-configs.ts";
import { type Distilled, findDistilled } from "./distilled.ts";
import { withEdm } from "./edm.ts";
import type { Family } from "./family.ts";
import { isFolder, openComponent, resolveSnapshot } from "./folder.ts";
import { inferClipTextConfig, inferUNetConfig, inferVaeConfig } from "./infer-configs.ts";
import { guessKind } from "./kinds.ts";
import { renameClip } from "./layouts/clip-names.ts";
import type { Renamed } from "./layouts/renaming.ts";
import { renameVae } from "./layouts/vae-names.ts";
import { nameOf } from "./names.ts";
import { openVae } from "./opened-network.ts";
import { publishedVae } from "./published-vae.ts";
import { openSafetensors } from "./safetensors.ts";
import { defaultScheduler, predictionOf, predictionOfFile, zeroTerminalSnrOfFile } from "./scheduler-config.ts";
import { splitSingleFile } from "./single-file.ts";
import type { StorageType, Weights } from "./tensor-view.ts";
import { elementCount } from "./views.ts";

export type NetworkName = "unet" | "vae" | "textEncoder" | "textEncoder2";

export const NETWORK_NAMES: readonly NetworkName[] = ["unet", "vae", "textEncoder", "textEncoder2"];

/** A Stable Diffusion model as its files say it is. Nothing but headers and configs has been read. */
export interface Checkpoint {
  /** As it was named by the caller. */
  readonly path: string;
  readonly layout: "folder" | "single";
  readonly family: Family;
  /** The UNet takes mask and masked picture as channels of its own (9 in all). */
  readonly inpainting: boolean;
  readonly prediction: Prediction;
  readonly zeroTerminalSnr: boolean;
  readonly distilled?: Distilled;
  readonly configs: CheckpointConfigs;
  readonly weights: Readonly<Partial<Record<NetworkName, Weights>>>;
  /** Folders of the tokenizers, where the checkpoint (or its config folder) brings them. */
  readonly tokenizers: { readonly tokenizer?: string; readonly tokenizer2?: string };
  /** Tensors that no network uses. */
  readonly unknown: readonly string[];
  /** Networks that the family has and the files do not. */
  readonly missing: readonly NetworkName[];
  /** Bytes of the files on disk. */
  readonly bytes: number;
  readonly parameters: Readonly<Partial<Record<NetworkName, number>>>;
  /** How each network's numbers are stored, most bytes first. */
  readonly storageTypes: Readonly<Partial<Record<NetworkName, readonly StorageType[]>>>;
  /** Of a single file; empty for a folder. */
  readonly metadata: ReadonlyMap<string, string>;
}

export interface OpenCheckpointOptions {
  /** A diffusers folder whose configs (and tokenizers) are used in place of what the files say. */
  readonly config?: string;
  /** A VAE in place of the checkpoint's own: a file in either layout, or a folder. */
  readonly vae?: string;
  /** Files of a folder that are preferred where it has several of one component ("fp16"). */
  readonly variant?: string;
}

/**
 * Opens a checkpoint: a diffusers folder, a repository folder of the Hugging Face cache, or a single file. Headers and
 * configs are read; tensors stay where they lie.
 * @throws KilnError file_not_found, file_corrupt, file_unsupported; checkpoint_unknown where the tensors are no network that
 *   Kiln knows (or their head counts cannot be told: pass `config`); checkpoint_incomplete where `config` is another model's
 */
export async function openCheckpoint(path: string, options: OpenCheckpointOptions = {}): Promise<Checkpoint> {
  const found = (await isFolder(path)) ? await openFolder(path, options) : await openSingle(path, options);
  return options.vae === undefined ? finish(found) : finish(await withVae(found, options.vae));
}

/** What both layouts come to, before the sums. */
interface Found {
  readonly path: string;
  readonly layout: Checkpoint["layout"];
  readonly family: Family;
  readonly configs: CheckpointConfigs;
  readonly weights: Checkpoint["weights"];
  readonly tokenizers: Checkpoint["tokenizers"];
  readonly unknown: readonly string[];
  readonly bytes: number;
  readonly metadata: ReadonlyMap<string, string>;
}

const COMPONENTS: readonly { network: NetworkName; folder: string; rename: (tensors: Weights) => Renamed }[] = [
  { network: "unet", folder: "unet", rename: (weights) => ({ weights, unknown: [] }) },
  { network: "vae", folder: "vae", rename: renameVae },
  { network: "textEncoder", folder: "text_encoder", rename: renameClip },
  { network: "textEncoder2", folder: "text_encoder_2", rename: renameClip },
];

async function openFolder(path: string, options: OpenCheckpointOptions): Promise<Found> {
  const root = await resolveSnapshot(path);
  if (!(await isFolder(join(root, "unet")))) {
    const message = `${path} is no diffusers folder, as it has no folder unet in it: name a diffusers folder or a .safetensors file.`;
    throw new KilnError("checkpoint_unknown", message, { subject: path });
  }
  const configRoot = options.config === undefined ? root : await resolveSnapshot(options.config);
  const { family, configs } = await readFolderConfigs(configRoot);
  const weights: Partial<Record<NetworkName, Weights>> = {};
  const unknown: string[] = [];
  let bytes = 0;
  for (const { network, folder, rename } of COMPONENTS) {
    if (!(await isFolder(join(root, folder))) || (network === "vae" && options.vae !== undefined)) continue;
    const files = await openComponent(join(root, folder), options.variant);
    const renamed = rename(files.tensors);
    weights[network] = renamed.weights;
    unknown.push(...renamed.unknown.map((name) => `${folder}/${name}`));
    bytes += files.bytes;
  }
  const tokenizers = await findTokenizers(configRoot);
  return { path, layout: "folder", family, configs, weights, tokenizers, unknown, bytes, metadata: new Map() };
}

async function openSingle(path: string, options: OpenCheckpointOptions): Promise<Found> {
  const { tensors, metadata, size } = await openSafetensors(path);
  refuseScaledFloat8(path, tensors);
  const { markers, unknown, ...weights } = splitSingleFile(tensors);
  const { unet } = weights;
  if (unet === undefined) {
    const message = `${path} is no checkpoint: it looks like ${guessKind(tensors).words}. Name a file that holds a UNet.`;
    throw new KilnError("checkpoint_unknown", message, { subject: path });
  }
  const common = { path, layout: "single" as const, weights, unknown, bytes: size, metadata };
  if (options.config !== undefined) {
    const configRoot = await resolveSnapshot(options.config);
    const { family, configs } = await readFolderConfigs(configRoot);
    return { ...common, family, configs, tokenizers: await findTokenizers(configRoot) };
  }
  const { family, config } = inferUNetConfig(unet, path);
  const scheduler = defaultScheduler(family, predictionOfFile(metadata, markers), zeroTerminalSnrOfFile(metadata, markers));
  const configs: CheckpointConfigs = {
    unet: config,
    vae: weights.vae === undefined ? publishedVae(family) : inferVaeConfig(weights.vae, family, path),
    ...(weights.textEncoder === undefined ? {} : { textEncoder: inferClipTextConfig(weights.textEncoder, path) }),
    ...(weights.textEncoder2 === undefined ? {} : { textEncoder2: inferClipTextConfig(weights.textEncoder2, path) }),
    scheduler,
    forceZerosForEmptyPrompt: family === "sdxl",
    requiresAestheticsScore: family === "sdxl-refiner",
  };
  return { ...common, family, configs: await withEdm(configs, tensors), tokenizers: {} };
}

/** Such files multiply each layer's numbers by a scale of its own; without it, they would draw noise. */
function refuseScaledFloat8(path: string, tensors: Weights): void {
  if (![...tensors.keys()].some((name) => /(^|\.)scaled_fp8$|\.scale_weight$/.test(name))) return;
  const message = `${path} stores float8 numbers with a scale for each layer, which Kiln does not read: use a float16 version, or float8 without scales.`;
  throw new KilnError("file_unsupported", message, { subject: path });
}

async function withVae(found: Found, path: string): Promise<Found> {
  const vae = await openVae(path, { family: found.family });
  return {
    ...found,
    configs: { ...found.configs, vae: vae.config },
    weights: { ...found.weights, vae: vae.weights },
    bytes: found.bytes + vae.bytes,
  };
}

async function findTokenizers(folder: string): Promise<Checkpoint["tokenizers"]> {
  const tokenizer = join(folder, "tokenizer");
  const tokenizer2 = join(folder, "tokenizer_2");
  return { ...((await isFolder(tokenizer)) ? { tokenizer } : {}), ...((await isFolder(tokenizer2)) ? { tokenizer2 } : {}) };
}

/** Networks that a family cannot draw without. */
function requiredNetworks(family: Family): readonly NetworkName[] {
  if (family === "sdxl") return NETWORK_NAMES;
  return family === "sdxl-refiner" ? ["unet", "vae", "textEncoder2"] : ["unet", "vae", "textEncoder"];
}

function finish(found: Found): Checkpoint {
  const { configs, weights, family } = found;
  checkConfigFits(found);
  const distilled = findDistilled({
    name: nameOf(found.path),
    metadata: found.metadata,
    scheduler: configs.scheduler,
    timeCondProjDim: configs.unet.timeCondProjDim,
  });
  const parameters: Partial<Record<NetworkName, number>> = {};
  const storageTypes: Partial<Record<NetworkName, readonly StorageType[]>> = {};
  for (const network of NETWORK_NAMES) {
    const tensors = weights[network];
    if (tensors === undefined) continue;
    parameters[network] = countParameters(tensors);
    storageTypes[network] = storageTypesOf(tensors);
  }
  return {
    ...found,
    inpainting: configs.unet.inChannels === 2 * configs.vae.latentChannels + 1,
    prediction: predictionOf(configs.scheduler),
    zeroTerminalSnr: configs.scheduler.rescale_betas_zero_snr === true,
    ...(distilled === undefined ? {} : { distilled }),
    missing: requiredNetworks(family).filter((network) => weights[network] === undefined),
    parameters,
    storageTypes,
  };
}

/** A config folder of another model is noticed at once by the width of each network, and not tensor by tensor when it is built. */
function checkConfigFits({ path, configs, weights }: Found): void {
  const { unet, vae, textEncoder, textEncoder2 } = configs;
  const [width = 0] = unet.blockOutChannels;
  if (unet.inChannels !== vae.latentChannels && unet.inChannels !== 2 * vae.latentChannels + 1) {
    const message = `${path} is a UNet with ${unet.inChannels} input channels, which is neither a plain nor an inpainting network, and Kiln runs only these: use another model.`;
    throw new KilnError("file_unsupported", message, { subject: path });
  }
  if (weights.unet !== undefined) checkWeights("UNet", weights.unet, [["conv_in.weight", [width, unet.inChannels, 3, 3]]], path);
  if (weights.vae !== undefined) {
    const inner = vae.blockOutChannels.at(-1) ?? 0;
    checkWeights("VAE", weights.vae, [["decoder.conv_in.weight", [inner, vae.latentChannels, 3, 3]]], path);
  }
  const encoders = [
    ["text encoder", weights.textEncoder, textEncoder],
    ["second text encoder", weights.textEncoder2, textEncoder2],
  ] as const;
  for (const [name, tensors, config] of encoders) {
    if (tensors === undefined) continue;
    if (config === undefined) {
      const message = `${path} has a ${name} and its configs have none: pass the config folder that belongs to it.`;
      throw new KilnError("checkpoint_incomplete", message, { subject: path });
    }
    checkWeights(name, tensors, [["embeddings.token_embedding.weight", [config.vocabSize, config.hiddenSize]]], path);
  }
}

export function countParameters(tensors: Weights): number {
  let count = 0;
  for (const { shape } of tensors.values()) count += elementCount(shape);
  return count;
}

/** The storage types that occur, most bytes first. */
export function storageTypesOf(tensors: Weights): readonly StorageType[] {
  const bytes = new Map<StorageType, number>();
  for (const { type, byteLength } of tensors.values()) bytes.set(type, (bytes.get(type) ?? 0) + byteLength);
  return [...bytes].sort(([, a], [, b]) => b - a).map(([type]) => type);
}
