import { describe, expect, test } from "vitest";
import { Catalogue } from "../models/catalogue.ts";
import type { ModelInfo } from "../models/model.ts";
import { presetsSchema } from "../models/presets.ts";
import { completeRequest } from "./complete.ts";
import { applyPreset } from "./preset.ts";
import { type GenerationRequestInput, generationRequestSchema } from "./request.ts";

function model(id: string, more: Partial<ModelInfo> = {}): ModelInfo {
  return {
    id,
    kind: "checkpoint",
    family: "sdxl",
    variant: "base",
    path: `/${id}`,
    bytes: 1,
    created: 0,
    title: id,
    size: { width: 1024, height: 1024 },
    defaults: { steps: 30, guidance_scale: 5, scheduler: "euler", width: 1024, height: 1024 },
    ...more,
  };
}

const DMD2 = { steps: 4, guidance_scale: 1, scheduler: "lcm", width: 1024, height: 1024, timesteps: [999, 749, 499, 249] };
const MODELS = [
  model("base"),
  model("dmd2-checkpoint", { variant: "dmd2", defaults: DMD2 }),
  model("turbo", { variant: "turbo", defaults: { ...DMD2, steps: 1, scheduler: "euler_a" } }),
  model("lcm-checkpoint", { variant: "lcm", embedsGuidance: true, defaults: { ...DMD2, guidance_scale: 8 } }),
  model("style", { kind: "lora", family: null }),
  model("lightning-4", {
    kind: "lora",
    family: null,
    variant: "lightning",
    defaults: { ...DMD2, scheduler: "euler", scheduler_config: { timestep_spacing: "trailing" } },
  }),
  model("tcd", { kind: "lora", family: null, variant: "tcd", defaults: { ...DMD2, scheduler: "tcd", eta: 0.3 } }),
  model("dmd2", { kind: "lora", family: null, variant: "dmd2", defaults: DMD2 }),
];

const OPERATOR = { loras: [], metadata: true };

async function complete(request: Partial<GenerationRequestInput>, file: object = {}) {
  const presets = presetsSchema.parse(file);
  const catalogue = new Catalogue({
    scan: async () => MODELS,
    aliases: () => presets.aliases,
    overrides: () => presets.models,
    defaultModel: "base",
  });
  await catalogue.refresh();
  const input = applyPreset({ prompt: "a fox", seed: 1, ...request }, presets.presets);
  return completeRequest(generationRequestSchema.parse(input), catalogue, OPERATOR);
}

test.each([
  [{ inpaint: {} }, "inpaint"],
  [{ image: "upload:x", mask: "upload:y", inpaint: { blur: 65 } }, "inpaint"],
  [{ variation: { strength: 1.5 } }, "variation"],
  [{ seed_resize_from: { width: 100, height: 64 } }, "seed_resize_from"],
  [{ hires: { guidance_scale: 31 } }, "hires"],
])("%o is refused by name", (fields, name) => {
  const { error } = generationRequestSchema.safeParse({ prompt: "x", ...fields });
  expect(error?.issues[0]?.path[0]).toBe(name);
});

describe("the model's defaults", () => {
  test("fill in what the request leaves out, and say whose they are", async () => {
    expect(await complete({ guidance_scale: 2 })).toMatchObject({
      model: "base",
      steps: 30,
      guidance_scale: 2,
      scheduler: "euler",
      scheduler_from_model: true,
      defaults_from: "base",
    });
  });

  test("the operator's file goes over them, and under the request", async () => {
    const file = {
      models: { base: { steps: 22, scheduler: "DPM++ 2M Karras", width: 832, negative_prompt: "blurry", aliases: ["house"] } },
    };
    const filled = { model: "base", steps: 22, scheduler: "dpmpp_2m_karras", scheduler_from_model: false, width: 832 };
    expect(await complete({ model: "house" }, file)).toMatchObject({ ...filled, height: 1024, negative_prompt: "blurry" });
    expect(await complete({ steps: 9, scheduler: "euler", negative_prompt: "" }, file)).toMatchObject({
      steps: 9,
      scheduler: "euler",
      negative_prompt: "",
    });
  });

  test("the timesteps of a few-step checkpoint hold until steps or scheduler are named", async () => {
    expect((await complete({ model: "dmd2-checkpoint" })).timesteps).toEqual([999, 749, 499, 249]);
    expect((await complete({ model: "dmd2-checkpoint", steps: 6 })).timesteps).toBeUndefined();
    expect((await complete({ model: "dmd2-checkpoint", scheduler: "euler" })).timesteps).toBeUndefined();
  });

  test("with a picture, a recipe of one step is lengthened until something is drawn", async () => {
    expect(await complete({ model: "turbo", image: "upload:x", strength: 0.4 })).toMatchObject({ steps: 3 });
    expect(await complete({ model: "turbo" })).toMatchObject({ steps: 1 });
  });
});

test("a second pass of too few steps is lengthened until something is drawn, where nobody says its steps", async () => {
  const second = async (hires: object, more: object = {}) => (await complete({ model: "turbo", hires, ...more })).hires?.steps;
  expect(await second({ strength: 0.4 })).toBe(3);
  expect(await second({ strength: 0.4 }, { steps: 3 })).toBeUndefined();
  expect(await second({ strength: 0.4, steps: 2 })).toBe(2);
  expect(await second({ strength: 0.4 }, { a1111: { sampler: "Euler" } })).toBeUndefined();
  expect(await second({ strength: 0.4, scheduler: "euler" }, { a1111: { sampler: "Euler" } })).toBe(3);
});

test("a few-step LoRA leaves its scale to a checkpoint that takes guidance as an embedding", async () => {
  const loras = [{ name: "lightning-4" }];
  expect(await complete({ model: "lcm-checkpoint", loras })).toMatchObject({ steps: 4, guidance_scale: 8, scheduler: "euler" });
  expect(await complete({ model: "lcm-checkpoint", loras, guidance_scale: 1 })).toMatchObject({ guidance_scale: 1 });
  expect(await complete({ loras })).toMatchObject({ guidance_scale: 1 });
});

describe("a few-step LoRA", () => {
  const few = (name: string, more: object = {}) => complete({ loras: [{ name: "style" }, { name }], ...more });

  test("brings its steps, guidance and scheduler with its configuration", async () => {
    expect(await few("lightning-4")).toMatchObject({
      steps: 4,
      guidance_scale: 1,
      scheduler: "euler",
      scheduler_from_model: false,
      scheduler_config: { timestep_spacing: "trailing" },
      defaults_from: "lightning-4",
      width: 1024,
    });
    expect(await few("tcd")).toMatchObject({ scheduler: "tcd", eta: 0.3 });
    expect((await few("dmd2")).timesteps).toEqual([999, 749, 499, 249]);
  });

  test("what the request names stands", async () => {
    const named = await few("lightning-4", { steps: 8, guidance_scale: 2, scheduler: "euler_a" });
    expect(named).toMatchObject({ steps: 8, guidance_scale: 2, scheduler: "euler_a" });
    expect(named.scheduler_config).toBeUndefined();
  });

  test("at weight 0 it changes nothing, and another LoRA never does", async () => {
    expect(await complete({ loras: [{ name: "lightning-4", weight: 0 }] })).toMatchObject({ steps: 30, defaults_from: "base" });
    expect(await complete({ loras: [{ name: "style" }] })).toMatchObject({ steps: 30, guidance_scale: 5 });
  });

  test("the operator's file can set its recipe", async () => {
    const set = await complete({ loras: [{ name: "lightning-4" }] }, { models: { "lightning-4": { steps: 6 } } });
    expect(set).toMatchObject({ steps: 6, guidance_scale: 1, defaults_from: "lightning-4" });
  });
});

describe("a preset", () => {
  const presets = {
    poster: { prompt: "poster of {prompt}, flat colours", steps: 12, guidance_scale: 4, output: { format: "webp", quality: 80 } },
  };

  test("lies under the request's own fields", async () => {
    const filled = await complete({ preset: "poster", guidance_scale: 6, output: { quality: 50 } }, { presets });
    expect(filled).toMatchObject({ prompt: "poster of a fox, flat colours", steps: 12, guidance_scale: 6, preset: "poster" });
    expect(filled.output).toMatchObject({ format: "webp", quality: 50 });
  });

  test("that is not there is refused by name", async () => {
    await expect(complete({ preset: "poster" })).rejects.toMatchObject({ code: "invalid_request", field: "preset" });
    await expect(complete({ preset: "toString" }, { presets })).rejects.toMatchObject({ field: "preset" });
  });

  test.each([
    [{ stepz: 3 }, "stepz"],
    [{ steps: 0 }, "steps"],
    [{ preset: "other" }, "preset"],
  ])("%o in the file is refused", (preset, field) => {
    const parsed = presetsSchema.safeParse({ presets: { wrong: preset } });
    expect(parsed.error?.issues[0]?.path).toEqual(["presets", "wrong", field]);
  });
});
