import type { Catalogue } from "../models/catalogue.ts";
import type { ModelInfo } from "../models/model.ts";
import type { Settings } from "../settings/schema.ts";

/** Where the LoRAs are found that every request gets. */
export interface Installed {
  catalogue: Pick<Catalogue, "find">;
  settings: Pick<Settings, "SDXL_LORA_PATH">;
}

/** What a contract says for requests that leave it out, in the words of the native request. */
export interface ContractRecipe {
  steps?: number;
  guidance_scale?: number;
  scheduler?: string;
}

/**
 * As much of a contract's recipe as suits what is drawn with: steps and guidance are meant for SDXL as it was published,
 * the scheduler for any checkpoint that is not distilled. What the operator has set for the model goes before, and so
 * does the recipe of a few-step LoRA that every request gets.
 */
export function recipeFor(
  recipe: ContractRecipe,
  model: ModelInfo,
  { catalogue, settings: { SDXL_LORA_PATH = [] } }: Installed,
): ContractRecipe {
  const variants = SDXL_LORA_PATH.map(({ name }) => catalogue.find(name, "lora")?.variant ?? "base");
  if ([model.variant, ...variants].some((variant) => variant !== "base")) return {};
  const { steps, guidance_scale, scheduler } = { ...recipe, ...model.operator };
  return {
    ...(isPlainSdxl(model) && steps !== undefined ? { steps } : {}),
    ...(isPlainSdxl(model) && guidance_scale !== undefined ? { guidance_scale } : {}),
    ...(scheduler === undefined ? {} : { scheduler }),
  };
}

/**
 * Whether the contracts' own defaults of steps, guidance and scheduler are meant for a checkpoint: they are those of
 * SDXL as it was published. Distilled checkpoints, other families and small ones bring what suits them.
 */
function isPlainSdxl({ family, variant, defaults }: ModelInfo): boolean {
  return family === "sdxl" && variant === "base" && defaults.width * defaults.height >= 1024 ** 2;
}
