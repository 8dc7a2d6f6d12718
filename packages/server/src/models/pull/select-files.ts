import { PullError } from "./pull-error.ts";

/** A file of a repository's listing. */
export interface ListedFile {
  path: string;
  bytes: number;
}

/** Folders of a diffusers repository that SDXL, its refiner and SD 1.5 are made of. Everything else in it is passed over. */
const WEIGHTS = ["unet", "vae", "text_encoder", "text_encoder_2"];
const COMPANIONS = ["scheduler", "tokenizer", "tokenizer_2"];
/** What a checkpoint of Kiln's own says of itself. */
const OWN_FILES = new Set(["kiln.json", "words.json"]);
const PICKLE = /\.(ckpt|bin|pth?|pkl)$/;
/** Texts that loaders read; larger ones are none of them. */
const MAX_TEXT_BYTES = 32 * 1024 * 1024;

/**
 * The files of a repository that a checkpoint needs: configs, tokenizers and one set of safetensors for each network,
 * in half precision where there is one. Pickles are never among them.
 * @param file the one file that was asked for
 * @throws PullError not_found, no_safetensors, and invalid_request where several files could be meant
 */
export function selectFiles<File extends ListedFile>(files: readonly File[], file: string | undefined, name: string): File[] {
  if (file !== undefined) return [namedFile(files, file, name)];
  if (files.some(({ path }) => path === "model_index.json")) return folderFiles(files, name);
  const atRoot = files.filter(({ path }) => !path.includes("/"));
  const config = atRoot.filter(({ path }) => path === "config.json");
  const weights = bestWeights(atRoot);
  if (config.length > 0 && weights.length > 0) return [...config, ...weights];
  return [...single(files, name), ...atRoot.filter(({ path }) => OWN_FILES.has(path))];
}

function namedFile<File extends ListedFile>(files: readonly File[], path: string, name: string): File {
  const found = files.find((each) => each.path === path);
  if (!found) throw new PullError("not_found", `${name} has no file "${path}"${hint(files)}.`);
  if (PICKLE.test(path))
    throw new PullError(
      "no_safetensors",
      `"${path}" is a pickle, which can run code when it is read; Kiln reads safetensors alone.`,
    );
  if (!path.endsWith(".safetensors")) throw new PullError("no_safetensors", `"${path}" is no safetensors file.`);
  return found;
}

function folderFiles<File extends ListedFile>(files: readonly File[], name: string): File[] {
  const chosen = files.filter(({ path }) => path === "model_index.json" || OWN_FILES.has(path));
  for (const folder of [...WEIGHTS, ...COMPANIONS]) {
    const inside = files.filter(({ path }) => path.startsWith(`${folder}/`) && path.split("/").length === 2);
    if (inside.length === 0) continue;
    chosen.push(...inside.filter(isCompanion));
    if (!WEIGHTS.includes(folder)) continue;
    const weights = bestWeights(inside);
    if (weights.length === 0) throw noSafetensors(`${name} has no safetensors in ${folder}/`, inside);
    chosen.push(...weights);
  }
  if (!chosen.some(({ path }) => path.endsWith(".safetensors"))) throw noSafetensors(`${name} has no safetensors`, files);
  return chosen;
}

/** Configs and vocabularies, without the indexes of weights, which go with their weights. */
function isCompanion({ path, bytes }: ListedFile): boolean {
  return /\.(json|txt)$/.test(path) && !path.endsWith(".index.json") && !path.includes(".msgpack") && bytes <= MAX_TEXT_BYTES;
}

const SET = /^(?<stem>diffusion_pytorch_model|model)(?:\.(?<variant>[A-Za-z0-9_]+?))?(?:-\d{5}-of-\d{5})?\.safetensors$/;

/** Of the sets of weights in one folder (plain, fp16, non_ema ...; whole or in parts) the one to fetch, with its index. */
function bestWeights<File extends ListedFile>(files: readonly File[]): File[] {
  const sets = new Map<string, { rank: number; files: File[] }>();
  for (const file of files) {
    const groups = SET.exec(baseName(file.path))?.groups;
    if (!groups) continue;
    const { stem = "", variant = "" } = groups;
    const inParts = /-\d{5}-of-\d{5}\./.test(file.path);
    const key = `${stem}.${variant}.${inParts}`;
    const set = sets.get(key) ?? { rank: rankOf(variant) + (inParts ? 1 : 0), files: [] };
    set.files.push(file);
    sets.set(key, set);
  }
  const best = [...sets.values()].sort((a, b) => a.rank - b.rank)[0];
  if (!best) return [];
  const [first] = best.files;
  const index =
    first && files.filter(({ path }) => path.endsWith(".index.json") && belongs(baseName(path), baseName(first.path)));
  return [...best.files, ...(/-\d{5}-of-/.test(first?.path ?? "") ? (index ?? []) : [])];
}

/** Half precision is half the download, and loses nothing that these networks need; `non_ema` is for training on. */
function rankOf(variant: string): number {
  return variant === "fp16" ? 0 : variant === "" ? 2 : variant === "bf16" ? 4 : 6;
}

/** `model.safetensors.index.fp16.json` and `model.fp16.safetensors.index.json` are both in use. */
function belongs(index: string, part: string): boolean {
  const { stem = "", variant = "" } = SET.exec(part)?.groups ?? {};
  const names =
    variant === ""
      ? [`${stem}.safetensors.index.json`]
      : [`${stem}.safetensors.index.${variant}.json`, `${stem}.${variant}.safetensors.index.json`];
  return names.includes(index);
}

/** The one safetensors file of a repository that is no diffusers folder: a single-file checkpoint, a LoRA. */
function single<File extends ListedFile>(files: readonly File[], name: string): File[] {
  const weights = files.filter(({ path }) => path.endsWith(".safetensors"));
  const atRoot = weights.filter(({ path }) => !path.includes("/"));
  const lora = atRoot.find(({ path }) => path === "pytorch_lora_weights.safetensors");
  const only = weights.length === 1 ? weights[0] : (lora ?? (atRoot.length === 1 ? atRoot[0] : undefined));
  if (only) return [only];
  if (weights.length === 0) throw noSafetensors(`${name} has no safetensors`, files);
  throw new PullError("invalid_request", `${name} holds ${weights.length} models: say which, as ${name}:FILE${hint(files)}.`);
}

function hint(files: readonly ListedFile[]): string {
  const names = files.map(({ path }) => path).filter((path) => path.endsWith(".safetensors"));
  if (names.length === 0) return "";
  return `; there ${names.length === 1 ? "is" : "are"} ${names.slice(0, 12).join(", ")}${names.length > 12 ? " and more" : ""}`;
}

function noSafetensors(what: string, files: readonly ListedFile[]): PullError {
  const pickles = files.some(({ path }) => PICKLE.test(path));
  return new PullError(
    "no_safetensors",
    pickles ? `${what}, only pickles, which can run code when they are read.` : `${what}, which is all that Kiln reads.`,
  );
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
