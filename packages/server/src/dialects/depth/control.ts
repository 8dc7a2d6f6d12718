import type { Caller } from "../../auth/caller.ts";
import { messageOf, ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import type { ModelInfo } from "../../models/model.ts";
import { withoutPaths } from "../../private-paths.ts";
import { chooseModel, findModel } from "./models.ts";
import { MODEL_KEYS, SCHEDULER_KEYS } from "./request.ts";

/** What requests can name. */
export function listModels({ catalogue, presets }: ServerContext): object {
  const ids = (kind: "lora" | "controlnet") => catalogue.list(kind).map(({ id }) => id);
  const canDraw = (key: (typeof MODEL_KEYS)[number]) => {
    try {
      return chooseModel(key, catalogue) !== undefined;
    } catch {
      return false;
    }
  };
  return {
    available_models: MODEL_KEYS.filter(canDraw),
    available_eras: Object.keys(presets.themes),
    available_loras: ids("lora"),
    available_controlnets: ids("controlnet"),
    available_schedulers: SCHEDULER_KEYS,
  };
}

/**
 * Brings a checkpoint into the memory of every engine, or drops it. Where this process has an engine, the answer
 * comes when that one has done it. Raises `not_found` and `forbidden`.
 */
export async function controlModel(
  action: "load" | "unload",
  name: string,
  caller: Caller,
  context: ServerContext,
): Promise<object> {
  if (caller.role !== "admin") throw new ServiceError("forbidden", "This needs a key with the admin role.");
  const { id, path } = requireModel(name, context);
  const { bus, supervisor } = context;
  bus.publish({ type: "model", action, model: id });
  if (!supervisor) return { success: true, model: id, message: "The engines have been told." };
  try {
    await (action === "load" ? supervisor.load({ id, path }) : supervisor.unload(id));
    if (action === "unload" && supervisor.loaded.includes(id)) {
      const message = `${id} is drawing, and goes when that is done.`;
      return { success: false, model: id, message, error_message: message };
    }
    return { success: true, model: id, message: `${id} is ${action}ed.` };
  } catch (error) {
    const message = withoutPaths(messageOf(error));
    return { success: false, model: id, message, error_message: message };
  }
}

function requireModel(name: string, { catalogue }: ServerContext): ModelInfo {
  const key = MODEL_KEYS.find((each) => each === name);
  const model = key ? (findModel(key, catalogue) ?? standIn(key, catalogue)) : catalogue.find(name, "checkpoint");
  if (!model) throw new ServiceError("not_found", `There is no model "${name}".`);
  return model;
}

function standIn(key: (typeof MODEL_KEYS)[number], catalogue: ServerContext["catalogue"]): ModelInfo | undefined {
  try {
    return chooseModel(key, catalogue).checkpoint;
  } catch {
    return undefined;
  }
}
