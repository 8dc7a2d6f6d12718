import { ServiceError } from "../../errors.ts";
import type { Catalogue } from "../../models/catalogue.ts";
import type { ModelInfo } from "../../models/model.ts";
import { findScheduler, SCHEDULERS, type SchedulerInfo } from "../../models/schedulers.ts";
import { MODEL_KEYS, type ModelKey, type SchedulerKey } from "./request.ts";

/** A checkpoint for a request, and what the answer calls it. */
export interface ChosenModel {
  checkpoint: ModelInfo;
  /** The request's name for it, or the checkpoint's id where it has none of these names. */
  used: string;
  /** The contract's name whose recipe holds; undefined where the checkpoint's own does. */
  key: ModelKey | undefined;
  notes: string[];
}

/** The contract's steps and guidance for requests that leave them out. */
const RECIPES: Readonly<Record<ModelKey, { steps: number; cfg: number }>> = {
  lightning: { steps: 6, cfg: 2 },
  hyper: { steps: 8, cfg: 6 },
  base: { steps: 20, cfg: 7.5 },
};

/** Requests that name no model want this one. */
const DEFAULT_KEY: ModelKey = "lightning";

const SCHEDULER_NAMES: Readonly<Record<Exclude<SchedulerKey, "auto">, string>> = {
  euler: "euler",
  euler_a: "euler_a",
  dpm_multi: "dpmpp_2m",
  dpm_single: "dpmpp_2s",
  dpm_sde: "dpmpp_sde",
  ddim: "ddim",
  lcm: "lcm",
};

/** What `auto` means. Lightning and hyper are distilled for timesteps that end at the last one. */
const AUTO: Readonly<Record<ModelKey, string>> = { lightning: "euler", hyper: "euler", base: "dpmpp_2m_sde_karras" };
const TRAILING = { timestep_spacing: "trailing" };

/**
 * The checkpoint that a name means: the operator's alias, else the first one of that kind. A request that names none
 * gets lightning, else the default checkpoint. The built-in demo stands in for all of them while it is the default,
 * so that an application can be tried before anything is downloaded. Raises `model_not_found`.
 */
export function chooseModel(name: ModelKey | undefined, catalogue: Catalogue): ChosenModel {
  const wanted = name ?? DEFAULT_KEY;
  const installed = findModel(wanted, catalogue);
  if (installed) return { checkpoint: installed, used: wanted, key: wanted, notes: [] };
  const checkpoint = catalogue.default();
  if (checkpoint.variant === "demo") {
    const notes = [`No ${wanted} checkpoint is installed; the built-in demo stands in for it.`];
    return { checkpoint, used: checkpoint.id, key: undefined, notes };
  }
  if (name !== undefined)
    throw new ServiceError("model_not_found", `The model "${name}" is not installed; the default is ${checkpoint.id}.`);
  const key = MODEL_KEYS.find((each) => each === checkpoint.variant);
  return { checkpoint, used: key ?? checkpoint.id, key, notes: [] };
}

/** The checkpoint of one of the contract's names, where one is installed. */
export function findModel(key: ModelKey, catalogue: Catalogue): ModelInfo | undefined {
  const named = catalogue.find(key, "checkpoint");
  if (named) return named;
  const ofKind = catalogue.list("checkpoint").filter(({ family, variant }) => family === "sdxl" && variant === key);
  const [first] = ofKind;
  return first && (ofKind.find(({ id }) => id === catalogue.default().id) ?? first);
}

/** The depth ControlNet that fits a checkpoint: the operator's alias `depth`, else the first with the word in its name. */
export function findDepthControl({ family }: ModelInfo, catalogue: Catalogue): ModelInfo | undefined {
  const fits = (model: ModelInfo) => model.family === null || model.family === family;
  const named = catalogue.find("depth", "controlnet");
  if (named && fits(named)) return named;
  return catalogue.list("controlnet").find((model) => fits(model) && /depth/i.test(`${model.id} ${model.title}`));
}

export function recipeOf({ key, checkpoint }: ChosenModel): { steps: number; cfg: number } {
  if (key !== undefined) return RECIPES[key];
  return { steps: checkpoint.defaults.steps, cfg: checkpoint.defaults.guidance_scale };
}

/** The scheduler's part of the native request. Karras spacing is left out where the algorithm has none. */
export function schedulerOf(
  name: SchedulerKey,
  karras: boolean | undefined,
  { key, checkpoint }: ChosenModel,
): { scheduler?: string; scheduler_config?: Record<string, string> } {
  if (name === "auto" && key === undefined && karras === undefined) return {};
  const auto = key === undefined ? checkpoint.defaults.scheduler : AUTO[key];
  const found = findScheduler(name === "auto" ? auto : SCHEDULER_NAMES[name]);
  if (!found) return {};
  const chosen = karras === undefined ? found : respaced(found, karras);
  const trailing = (key === "lightning" || key === "hyper") && chosen.name !== "lcm" && chosen === found;
  return { scheduler: chosen.name, ...(trailing ? { scheduler_config: TRAILING } : {}) };
}

function respaced(scheduler: SchedulerInfo, karras: boolean): SchedulerInfo {
  const plain = scheduler.label.replace(/ Karras$/, "");
  const label = karras ? `${plain} Karras` : plain;
  return SCHEDULERS.find((each) => each.label === label) ?? scheduler;
}
