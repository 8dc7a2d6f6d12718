import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  type Distilled,
  fewStepRecipe,
  findDistilled,
  type Inspection,
  inspectFile,
  openCheckpoint,
  readDefaults,
  recipeFor,
} from "@kiln/diffusion";
import { z } from "zod";
import { messageOf } from "../errors.ts";
import type { ModelDefaults, ModelInfo, ModelKind } from "./model.ts";
import { readText } from "./read-text.ts";
import { findScheduler } from "./schedulers.ts";

const KINDS: Partial<Record<Inspection["kind"], ModelKind>> = {
  checkpoint: "checkpoint",
  // Tiny ones draw previews alone, so they are no choice that a request has.
  vae: "vae",
  controlnet: "controlnet",
  lora: "lora",
  "textual inversion": "embedding",
  upscaler: "upscaler",
};

const NO_DEFAULTS: ModelDefaults = { steps: 30, guidance_scale: 7.5, scheduler: "euler", width: 1024, height: 1024 };

/** What a file says of itself is shown in lists of all models; beyond this it is no title and no description. */
const MAX_TITLE_CHARACTERS = 200;
const MAX_DESCRIPTION_CHARACTERS = 2000;

/**
 * What a file or folder is, from its headers and configs. Undefined for what is no model, and, with a warning, for
 * a model that is broken or unknown: one bad file must not hide the others.
 */
export async function describeModel(path: string, id: string, warn: (message: string) => void): Promise<ModelInfo | undefined> {
  try {
    const found = await inspectFile(path);
    const kind = KINDS[found.kind];
    if (!kind) return undefined;
    if (found.problem !== undefined || found.missing.length > 0)
      warn(`${path} cannot be used: ${found.problem ?? `it has no ${found.missing.join(", ")}`}`);
    if (kind === "checkpoint" && (found.problem !== undefined || found.missing.length > 0)) return undefined;
    const distilled = kind === "lora" ? fewStepsOfLora(found, id) : found.distilled;
    const checkpoint = kind === "checkpoint" ? await openCheckpoint(path) : undefined;
    const defaults = checkpoint ? await defaultsOf(checkpoint) : distilled ? loraDefaults(distilled) : NO_DEFAULTS;
    const words = await readWords(path);
    const own = await readJson(join(path, "kiln.json"));
    const title = textOf(own.title) ?? found.metadata["modelspec.title"] ?? id;
    const description = textOf(own.description) ?? found.metadata["modelspec.description"];
    return {
      id,
      kind,
      family: found.family ?? null,
      variant: id === "kiln-demo" ? "demo" : (distilled?.kind ?? "base"),
      path,
      bytes: found.bytes,
      created: Math.round((await stat(path)).mtimeMs / 1000),
      title: title.slice(0, MAX_TITLE_CHARACTERS),
      ...(description === undefined ? {} : { description: description.slice(0, MAX_DESCRIPTION_CHARACTERS) }),
      size: { width: defaults.width, height: defaults.height },
      defaults,
      ...(checkpoint && checkpoint.configs.unet.timeCondProjDim !== null ? { embedsGuidance: true } : {}),
      ...(words ? { words } : {}),
      ...(found.embedding ? { embedding: found.embedding } : {}),
    };
  } catch (error) {
    warn(`${path} is left out: ${messageOf(error)}`);
    return undefined;
  }
}

/** The recipe that suits the checkpoint, in the words of requests. */
async function defaultsOf(checkpoint: Checkpoint): Promise<ModelDefaults> {
  const { steps, guidanceScale, scheduler, size, timesteps } = recipeFor(checkpoint, await readDefaults(checkpoint.path));
  const trailing = scheduler?.config.timestep_spacing === "trailing" ? " SGM Uniform" : "";
  const own = checkpoint.configs.scheduler._class_name;
  const name = scheduler?.name ?? (typeof own === "string" ? own : "Euler");
  const plain = findScheduler(name);
  const spaced = plain && trailing ? (findScheduler(plain.label + trailing) ?? plain) : plain;
  return {
    steps,
    guidance_scale: guidanceScale,
    scheduler: spaced?.name ?? "euler",
    width: size.width,
    height: size.height,
    ...(timesteps ? { timesteps: [...timesteps] } : {}),
  };
}

/** Published few-step LoRAs often lie in a repository as `pytorch_lora_weights`; then the repository's name tells. */
function fewStepsOfLora({ distilled }: Inspection, id: string): Distilled | undefined {
  return distilled ?? findDistilled({ name: id, metadata: new Map(), timeCondProjDim: null });
}

/** What a few-step LoRA makes of any checkpoint's defaults. The size stays the checkpoint's. */
function loraDefaults(distilled: Distilled): ModelDefaults {
  const { steps, guidanceScale, scheduler, timesteps, eta } = fewStepRecipe(distilled);
  const config = schedulerConfigSchema.parse(scheduler?.config ?? {});
  return {
    ...NO_DEFAULTS,
    steps,
    guidance_scale: guidanceScale,
    scheduler: findScheduler(scheduler?.name ?? "")?.name ?? NO_DEFAULTS.scheduler,
    ...(Object.keys(config).length > 0 ? { scheduler_config: config } : {}),
    ...(timesteps ? { timesteps: [...timesteps] } : {}),
    ...(eta === undefined ? {} : { eta }),
  };
}

const schedulerConfigSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const objectSchema = z.record(z.string(), z.unknown());

/** A JSON object beside a checkpoint; nothing where there is none. */
async function readJson(path: string): Promise<Record<string, unknown>> {
  const content = await readText(path);
  return content === undefined ? {} : objectSchema.parse(JSON.parse(content));
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

const phrasesSchema = z.array(z.string());
const groupSchema = z.union([phrasesSchema, z.record(z.string(), phrasesSchema).transform(oneOfEachFirst)]);

/** `words.json` beside a checkpoint lists what it has learnt, by kind of word; a group may itself be split by thing. */
async function readWords(path: string): Promise<Record<string, string[]> | undefined> {
  const lists = Object.entries(await readJson(join(path, "words.json"))).flatMap(([name, group]) => {
    const { data } = groupSchema.safeParse(group);
    return data === undefined || data.length === 0 ? [] : [[name, data] as const];
  });
  return lists.length > 0 ? Object.fromEntries(lists) : undefined;
}

/** Ways to say several things (`{ house: [...], boat: [...] }`) as one list: whoever shows its beginning shows every thing once. */
function oneOfEachFirst(things: Readonly<Record<string, readonly string[]>>): string[] {
  const ways = Object.values(things);
  const most = Math.max(0, ...ways.map(({ length }) => length));
  return Array.from({ length: most }, (_, at) => ways.flatMap((phrases) => phrases[at] ?? [])).flat();
}
