import { expect, test } from "vitest";
import type { ModelInfo } from "../models/model.ts";
import { type Installed, recipeFor } from "./contract-recipe.ts";

const RECIPE = { steps: 30, guidance_scale: 7.5, scheduler: "euler_a" };

function model(change: Partial<ModelInfo>): ModelInfo {
  const defaults = { steps: 20, guidance_scale: 5, scheduler: "euler", width: 1024, height: 1024 };
  return {
    id: "sdxl",
    kind: "checkpoint",
    family: "sdxl",
    variant: "base",
    path: "",
    bytes: 0,
    created: 0,
    title: "",
    size: { width: 1024, height: 1024 },
    defaults,
    ...change,
  };
}

/** An installation whose every request gets this LoRA. */
function having(lora: ModelInfo | undefined): Installed {
  const find: Installed["catalogue"]["find"] = (name, kind) => (name === lora?.id && kind === "lora" ? lora : undefined);
  return { catalogue: { find }, settings: { SDXL_LORA_PATH: lora && [{ name: lora.id, weight: 1 }] } };
}

const small = { ...model({}).defaults, width: 512, height: 512 };

test.each([
  ["SDXL as it was published", {}, undefined, RECIPE],
  ["a distilled checkpoint", { variant: "lightning" as const }, undefined, {}],
  ["the demo", { variant: "demo" as const }, undefined, {}],
  ["SD 1.5", { family: "sd15" as const, defaults: small }, undefined, { scheduler: "euler_a" }],
  ["a small checkpoint", { defaults: small }, undefined, { scheduler: "euler_a" }],
  ["an operator's word", { operator: { steps: 12, scheduler: "heun" } }, undefined, { ...RECIPE, steps: 12, scheduler: "heun" }],
  ["a LoRA of a style", {}, model({ id: "style", kind: "lora" }), RECIPE],
  ["a few-step LoRA", {}, model({ id: "fast", kind: "lora", variant: "lightning" }), {}],
])("%s", (_name, change, lora, expected) => {
  expect(recipeFor(RECIPE, model(change), having(lora))).toEqual(expected);
});
