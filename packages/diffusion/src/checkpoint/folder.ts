import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { KilnError } from "../errors.ts";
import { isJsonObject, readJsonObject } from "./json.ts";
import { openSafetensors } from "./safetensors.ts";
import { corrupt, quoted } from "./safetensors-header.ts";
import type { TensorView, Weights } from "./tensor-view.ts";

/** SDXL in float32 comes in 3 shards; the largest language models in under 200. */
const MAX_SHARDS = 512;

/** The tensors of one component folder (`unet`, `vae`, ...), out of one file or several. */
export interface ComponentFiles {
  readonly tensors: Weights;
  /** Real paths. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/**
 * Follows a repository folder of the Hugging Face cache (`models--org--name`) to the snapshot that `refs/main` names,
 * or to the only one; any other folder is returned as it came.
 */
export async function resolveSnapshot(folder: string): Promise<string> {
  const snapshots = join(folder, "snapshots");
  if (!(await isFolder(snapshots))) return folder;
  const revision = (await readFile(join(folder, "refs", "main"), "utf8").catch(() => "")).trim();
  if (/^[\w-]{1,128}$/.test(revision) && (await isFolder(join(snapshots, revision)))) return join(snapshots, revision);
  const [only, ...others] = await readdir(snapshots);
  if (only !== undefined && others.length === 0) return join(snapshots, only);
  const message = `${folder} holds several snapshots and no refs/main that says which to use: name one of the folders in ${snapshots}.`;
  throw new KilnError("file_not_found", message, { subject: folder });
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}

export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}

/**
 * Opens the weights of one component of a diffusers folder: `diffusion_pytorch_model` or `model`, in one file or in shards
 * with an index, plain or in a variant (`fp16`). Plain goes before variants, as in diffusers, unless one is asked for.
 * @throws KilnError file_not_found where there are none, file_unsupported where there are only pickles,
 *   file_corrupt where an index lies
 */
export async function openComponent(folder: string, variant?: string): Promise<ComponentFiles> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new KilnError("file_not_found", `${folder} cannot be read: check the path and its permissions.`, {
      subject: folder,
      cause,
    });
  });
  const chosen = chooseWeights(names, variant);
  if (chosen === undefined) throw noWeights(folder, names);
  return chosen.endsWith(".json") ? openShards(folder, join(folder, chosen)) : openOne(join(folder, chosen));
}

/** Candidates in order: fewest variant words first, a single file before an index, then the alphabet. */
function chooseWeights(names: readonly string[], wanted: string | undefined): string | undefined {
  const ranked = names.flatMap((name) => {
    const match = /^(?:diffusion_pytorch_model|model)((?:\.\w+)*?)\.(safetensors|json)$/.exec(name);
    if (match === null) return [];
    const words = (match[1] ?? "").split(".").filter((word) => word !== "");
    const index = match[2] === "json";
    if (index && !(words.includes("index") && words.includes("safetensors"))) return [];
    const variant = words.filter((word) => word !== "index" && word !== "safetensors").join(".");
    const rank =
      (variant === wanted ? -2 : variant === "" ? 0 : variant === "fp16" ? 2 : variant === "non_ema" ? 6 : 4) + (index ? 1 : 0);
    return [{ name, rank }];
  });
  ranked.sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1));
  return ranked[0]?.name;
}

async function openOne(path: string): Promise<ComponentFiles> {
  const file = await openSafetensors(path);
  return { tensors: file.tensors, files: [file.path], bytes: file.size };
}

async function openShards(folder: string, indexPath: string): Promise<ComponentFiles> {
  const { weight_map: map } = await readJsonObject(indexPath);
  if (!isJsonObject(map)) throw corrupt(indexPath, "it is an index without a weight_map");
  const namesByShard = new Map<string, string[]>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== "string") throw corrupt(indexPath, `tensor ${quoted(tensor)} has no file`);
    if (shard !== basename(shard) || shard.includes("\\") || !shard.endsWith(".safetensors")) {
      const message = `${indexPath} refers to ${quoted(shard)}, which is not the name of a .safetensors file beside it: Kiln does not follow it. Download the model again from a source that you trust.`;
      throw new KilnError("file_unsupported", message, { subject: indexPath });
    }
    const list = namesByShard.get(shard);
    if (list === undefined) namesByShard.set(shard, [tensor]);
    else list.push(tensor);
  }
  if (namesByShard.size > MAX_SHARDS)
    throw corrupt(indexPath, `it lists ${namesByShard.size} files, and ${MAX_SHARDS} is the limit`);
  const tensors = new Map<string, TensorView>();
  const files: string[] = [];
  let bytes = 0;
  for (const [shard, names] of namesByShard) {
    const file = await openSafetensors(join(folder, shard));
    files.push(file.path);
    bytes += file.size;
    for (const name of names) {
      const view = file.tensors.get(name);
      if (view === undefined)
        throw corrupt(join(folder, shard), `it lacks tensor ${quoted(name)}, which ${basename(indexPath)} places in it`);
      tensors.set(name, view);
    }
  }
  return { tensors, files, bytes };
}

function noWeights(folder: string, names: readonly string[]): KilnError {
  if (names.some((name) => /\.(bin|pt|pth|ckpt)$/.test(name))) {
    const message = `${folder} holds pickle files only, which Kiln refuses because loading one runs whatever code its author put into it: download the .safetensors version.`;
    return new KilnError("file_unsupported", message, { subject: folder });
  }
  const message = `${folder} holds no diffusion_pytorch_model.safetensors or model.safetensors: download the folder again, with its weights.`;
  return new KilnError("file_not_found", message, { subject: folder });
}
