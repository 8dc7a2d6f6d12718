import { type Dirent, existsSync } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { TEST_MODEL } from "../engine/test-engine.ts";
import type { Settings } from "../settings/schema.ts";
import { describeModel } from "./describe.ts";
import type { ModelInfo } from "./model.ts";
import { readText } from "./read-text.ts";

/** Folders below MODELS_DIR that are looked into: kind/family/author/model is as deep as collections go. */
const MAX_DEPTH = 5;
/** A folder with more files than this is no folder of models. */
const MAX_FILES = 20_000;

const DEMO = fileURLToPath(new URL("../../../../models/kiln-demo", import.meta.url));

/** A file or folder that may be a model, and the name that it would have. */
interface Find {
  path: string;
  /** The short name, and a longer one for when two models have the same. */
  names: [string, string];
}

/** Finds the installed models: the demo, the folders of MODELS_DIR, the Hugging Face cache, and models that settings name by path. */
export async function scanModels(settings: Settings, warn: (message: string) => void): Promise<ModelInfo[]> {
  if (settings.KILN_ENGINE === "test") return [testModel()];
  const finds: Find[] = [];
  if (existsSync(DEMO)) finds.push({ path: DEMO, names: ["kiln-demo", "kiln-demo"] });
  for (const folder of settings.MODELS_DIR.split(",")) finds.push(...(await findIn(folder.trim())));
  finds.push(...(await findInCache(join(settings.HF_HOME ?? join(homedir(), ".cache", "huggingface"), "hub"))));
  const { KILN_DEFAULT_MODEL, SDXL_MODEL_ID, SDXL_REFINER_ID, SDXL_LORA_PATH = [] } = settings;
  for (const named of [KILN_DEFAULT_MODEL, SDXL_MODEL_ID, SDXL_REFINER_ID, ...SDXL_LORA_PATH.map(({ name }) => name)]) {
    if (named !== undefined && existsSync(named)) finds.push({ path: named, names: [nameOf(named), named] });
  }
  const models: ModelInfo[] = [];
  const seen = new Set<string>();
  for (const { path, names } of finds) {
    const real = await realpath(path).catch(() => path);
    if (seen.has(real)) continue;
    seen.add(real);
    const taken = (name: string) => models.some(({ id }) => id === name);
    const id = taken(names[0]) ? names[1] : names[0];
    const model = taken(id) ? undefined : await describeModel(path, id, warn);
    if (model) models.push(model);
  }
  return models;
}

/** Weights and diffusers folders under a folder. What is inside a diffusers folder belongs to it. */
async function findIn(root: string): Promise<Find[]> {
  const finds: Find[] = [];
  let files = 0;
  const visit = async (folder: string, depth: number): Promise<void> => {
    const entries: Dirent[] = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const names = new Set(entries.map((entry) => entry.name));
    const find = (path: string): Find => ({ path, names: [nameOf(path), relative(root, path).replace(/\.safetensors$/, "")] });
    if (depth > 0 && (names.has("model_index.json") || (names.has("config.json") && entries.some(isWeights)))) {
      finds.push(find(folder));
      return;
    }
    for (const entry of entries) {
      if (++files > MAX_FILES) return;
      const path = join(folder, entry.name);
      if (!isPlainName(entry.name)) continue;
      if (depth < MAX_DEPTH && (await isFolder(entry, path))) await visit(path, depth + 1);
      else if (isWeights(entry) && (await isFile(path))) finds.push(find(path));
    }
  };
  await visit(root, 0);
  return finds;
}

/** Repositories of the Hugging Face cache as it lies on disk: `models--org--name/snapshots/<revision>`. */
async function findInCache(hub: string): Promise<Find[]> {
  const entries = await readdir(hub, { withFileTypes: true }).catch(() => []);
  const finds: Find[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || !entry.name.startsWith("models--")) continue;
    const id = entry.name.slice("models--".length).replaceAll("--", "/");
    const path = await snapshotOf(join(hub, entry.name));
    if (path !== undefined)
      for (const inside of await modelsOf(path))
        finds.push({ path: inside, names: inside === path ? [id, id] : [nameOf(inside), `${id}/${nameOf(inside)}`] });
  }
  return finds;
}

/** The snapshot of the main branch; of a repository that was fetched at another revision alone, that one's. */
async function snapshotOf(repository: string): Promise<string | undefined> {
  const refs = await readdir(join(repository, "refs"), { recursive: true }).catch(() => []);
  for (const ref of ["main", ...refs.filter((name) => name !== "main").sort()]) {
    const revision = ((await readText(join(repository, "refs", ref))) ?? "").trim();
    const path = join(repository, "snapshots", revision);
    if (revision !== "" && existsSync(path)) return path;
  }
  return undefined;
}

/** A repository is one model, or a shelf of single files. */
async function modelsOf(snapshot: string): Promise<string[]> {
  if (existsSync(join(snapshot, "model_index.json")) || existsSync(join(snapshot, "config.json"))) return [snapshot];
  const entries = await readdir(snapshot, { withFileTypes: true });
  return entries.filter(isWeights).map((entry) => join(snapshot, entry.name));
}

/** Names become ids, which stand in lines of logs and of pictures' parameters: a line break in one would begin another. */
function isPlainName(name: string): boolean {
  return !name.startsWith(".") && !/\p{Cc}/u.test(name);
}

function isWeights(entry: Dirent): boolean {
  return entry.name.endsWith(".safetensors") && !entry.isDirectory();
}

/** Also a link to one: collections are shared between tools that way. Depth bounds what a link to its own parent leads to. */
async function isFolder(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

function nameOf(path: string): string {
  const name = basename(path).replace(/\.safetensors$/, "");
  // "unet" or "diffusion_pytorch_model" say nothing; the folder does.
  return /^(diffusion_pytorch_model|model|pytorch_lora_weights)(\.fp16)?$/.test(name) ? basename(dirname(path)) : name;
}

function testModel(): ModelInfo {
  return {
    id: TEST_MODEL,
    kind: "checkpoint",
    family: "sdxl",
    variant: "base",
    path: "",
    bytes: 0,
    created: 0,
    title: "Test engine",
    description: "Flat pictures, for benches and tests",
    size: { width: 256, height: 256 },
    defaults: { steps: 4, guidance_scale: 1, scheduler: "euler", width: 256, height: 256 },
  };
}
