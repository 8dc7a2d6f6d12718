import { basename, join } from "node:path";
import { KilnError } from "../errors.ts";
import type { Prediction } from "../schedulers/prediction.ts";
import { type Checkpoint, countParameters, NETWORK_NAMES, openCheckpoint, storageTypesOf } from "./checkpoint.ts";
import { type Distilled, findDistilled } from "./distilled.ts";
import { type EmbeddingSummary, summarizeEmbedding } from "./embedding-file.ts";
import type { Family } from "./family.ts";
import { isFile, isFolder, openComponent, resolveSnapshot } from "./folder.ts";
import { inferUNetConfig } from "./infer-configs.ts";
import { readJsonObject } from "./json.ts";
import { type FileKind, guessKind } from "./kinds.ts";
import { nonFiniteTensors } from "./non-finite.ts";
import { openSafetensors } from "./safetensors.ts";
import { controlNetOfFile, splitSingleFile } from "./single-file.ts";
import type { StorageType, Weights } from "./tensor-view.ts";

/** What a file or folder is, as far as names, shapes and configs tell. */
export interface Inspection {
  readonly path: string;
  readonly kind: FileKind;
  /** The kind with its article, for a sentence. */
  readonly description: string;
  readonly layout: "folder" | "single";
  readonly family?: Family;
  readonly inpainting?: boolean;
  readonly prediction?: Prediction;
  readonly zeroTerminalSnr?: boolean;
  readonly distilled?: Distilled;
  /** Bytes on disk. */
  readonly bytes: number;
  readonly tensors: number;
  readonly networks: readonly InspectedNetwork[];
  /** Networks that a checkpoint of this family needs and this one lacks. */
  readonly missing: readonly string[];
  /** Tensors that no network uses: how many, and the first of them. */
  readonly unknown: { readonly count: number; readonly first: readonly string[] };
  /** Metadata of a single file; long values are cut. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors that hold NaN or infinity, where `values` was asked for; the first of them. */
  readonly nonFinite?: readonly string[];
  /** Of a textual inversion. */
  readonly embedding?: EmbeddingSummary;
  /** Why Kiln cannot run it, where it cannot. */
  readonly problem?: string;
}

export interface InspectedNetwork {
  readonly name: string;
  readonly parameters: number;
  readonly storageTypes: readonly StorageType[];
}

const SHOWN_UNKNOWN = 10;
/** LoRA trainers write whole training sets into metadata; a terminal wants a line. */
const SHOWN_METADATA = 200;
const SHOWN_METADATA_ENTRIES = 60;

export interface InspectOptions {
  /** A diffusers folder whose configs are used, as in `openCheckpoint`. */
  readonly config?: string;
  /** Reads every number too, and lists tensors with NaN or infinity in them. */
  readonly values?: boolean;
}

/**
 * Says what a file or folder is, without reading more than headers and configs (unless `values` asks for it). A model that cannot be run is described
 * too, with the reason in `problem`.
 * @throws KilnError file_not_found, file_corrupt, file_unsupported where not even the header can be read
 */
export async function inspectFile(path: string, options: InspectOptions = {}): Promise<Inspection> {
  return (await isFolder(path)) ? inspectFolder(path, options) : inspectSingle(path, options);
}

async function inspectSingle(path: string, options: InspectOptions): Promise<Inspection> {
  const file = await openSafetensors(path);
  const values = options.values === true ? { nonFinite: await nonFiniteTensors(file.tensors, SHOWN_UNKNOWN) } : {};
  const guess = guessKind(file.tensors);
  const common = {
    path,
    kind: guess.kind,
    description: guess.words,
    layout: "single" as const,
    bytes: file.size,
    tensors: file.tensors.size,
    metadata: trimmed(file.metadata),
    ...values,
  };
  if (guess.kind === "checkpoint" || guess.kind === "unet") {
    const opened = await attempt(() => openCheckpoint(path, options));
    if (!(opened instanceof KilnError)) return { ...common, ...describe(opened) };
    const { unknown, markers: _, ...weights } = splitSingleFile(file.tensors);
    return { ...common, networks: networksOf(weights), missing: [], unknown: listed(unknown), problem: opened.message };
  }
  const embedding = guess.kind === "textual inversion" ? summarizeEmbedding(file.tensors) : undefined;
  const family = guess.kind === "controlnet" ? familyOfControlNet(file.tensors) : familyOfEmbedding(embedding);
  const networks = guess.kind === "unknown" ? [] : [network(guess.kind, file.tensors)];
  return {
    ...common,
    networks,
    missing: [],
    unknown: listed(guess.kind === "unknown" ? [...file.tensors.keys()] : []),
    ...(family === undefined ? {} : { family }),
    ...(embedding === undefined ? {} : { embedding }),
    ...(guess.kind === "lora" ? fewStepTraining(path, file.metadata) : {}),
  };
}

function fewStepTraining(path: string, metadata: ReadonlyMap<string, string>): { distilled?: Distilled } {
  const distilled = findDistilled({ name: basename(path, ".safetensors"), metadata, timeCondProjDim: null });
  return distilled ? { distilled } : {};
}

async function inspectFolder(path: string, options: InspectOptions): Promise<Inspection> {
  const root = await resolveSnapshot(path);
  const common = { path, layout: "folder" as const, metadata: {} };
  if (await isFolder(join(root, "unet"))) {
    const opened = await attempt(() => openCheckpoint(path, options));
    if (opened instanceof KilnError) throw opened;
    const tensors = NETWORK_NAMES.reduce((count, name) => count + (opened.weights[name]?.size ?? 0), 0);
    const all = new Map(
      NETWORK_NAMES.flatMap((name) =>
        [...(opened.weights[name] ?? [])].map(([tensor, view]) => [`${name}/${tensor}`, view] as const),
      ),
    );
    const values = options.values === true ? { nonFinite: await nonFiniteTensors(all, SHOWN_UNKNOWN) } : {};
    return {
      ...common,
      ...values,
      kind: "checkpoint",
      description: "a checkpoint",
      bytes: opened.bytes,
      tensors,
      ...describe(opened),
    };
  }
  const { tensors, bytes } = await openComponent(root);
  const config = join(root, "config.json");
  const className = (await isFile(config)) ? (await readJsonObject(config))._class_name : undefined;
  const guess = guessKind(tensors);
  const family = guess.kind === "controlnet" ? familyOfControlNet(tensors) : undefined;
  return {
    ...common,
    kind: guess.kind,
    description: typeof className === "string" ? `${guess.words} (${className})` : guess.words,
    bytes,
    tensors: tensors.size,
    networks: [network(guess.kind, tensors)],
    missing: [],
    unknown: listed([]),
    ...(options.values === true ? { nonFinite: await nonFiniteTensors(tensors, SHOWN_UNKNOWN) } : {}),
    ...(family === undefined ? {} : { family }),
  };
}

type Described = Pick<
  Inspection,
  "family" | "inpainting" | "prediction" | "zeroTerminalSnr" | "distilled" | "networks" | "missing" | "unknown"
>;

function describe(checkpoint: Checkpoint): Described {
  const { family, inpainting, prediction, zeroTerminalSnr, distilled, weights, missing, unknown } = checkpoint;
  const common = {
    family,
    inpainting,
    prediction,
    zeroTerminalSnr,
    networks: networksOf(weights),
    missing,
    unknown: listed(unknown),
  };
  return distilled === undefined ? common : { ...common, distilled };
}

function networksOf(weights: Checkpoint["weights"]): InspectedNetwork[] {
  return NETWORK_NAMES.flatMap((name) => {
    const tensors = weights[name];
    return tensors === undefined ? [] : [network(name, tensors)];
  });
}

function network(name: string, tensors: Weights): InspectedNetwork {
  return { name, parameters: countParameters(tensors), storageTypes: storageTypesOf(tensors) };
}

function familyOfControlNet(tensors: Weights): Family | undefined {
  try {
    return inferUNetConfig(controlNetOfFile(tensors).weights, "").family;
  } catch {
    return undefined; // Its shapes are none of the real ones; what it is remains worth saying.
  }
}

function familyOfEmbedding(embedding: EmbeddingSummary | undefined): Family | undefined {
  if (embedding === undefined) return undefined;
  return embedding.widths.clip_g === undefined ? "sd15" : "sdxl";
}

function listed(names: readonly string[]): Inspection["unknown"] {
  return { count: names.length, first: names.slice(0, SHOWN_UNKNOWN) };
}

function trimmed(metadata: ReadonlyMap<string, string>): Record<string, string> {
  const entries = [...metadata].slice(0, SHOWN_METADATA_ENTRIES);
  const cut = (text: string) => (text.length > SHOWN_METADATA ? `${text.slice(0, SHOWN_METADATA)}...` : text);
  return Object.fromEntries(entries.map(([key, value]) => [cut(key), cut(value)]));
}

async function attempt<T>(open: () => Promise<T>): Promise<T | KilnError> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
}
