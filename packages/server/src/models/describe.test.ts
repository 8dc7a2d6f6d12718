import { copyFileSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { DEMO_FOLDER, REFERENCE_FOLDER } from "../testing/model-folders.ts";
import { describeModel } from "./describe.ts";

test.skipIf(DEMO_FOLDER === undefined)("the demo's words come in all their groups, a phrase of each thing first", async () => {
  const { words = {} } = (await describeModel(join(DEMO_FOLDER ?? "", "kiln-demo"), "kiln-demo", () => {})) ?? {};
  expect(Object.keys(words)).toEqual(expect.arrayContaining(["subjects", "places", "shapes", "weather", "object_colours"]));
  const beginning = words.subjects?.slice(0, 3) ?? [];
  for (const [at, thing] of ["house", "lighthouse", "boat"].entries()) expect(beginning[at]).toContain(thing);
  expect(words).not.toHaveProperty("about");
});

describe.skipIf(REFERENCE_FOLDER === undefined)("a LoRA file", () => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-describe-"));

  async function lora(name: string, id = name) {
    const path = join(folder, `${name}.safetensors`);
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(join(REFERENCE_FOLDER ?? "", "loras", "peft.safetensors"), path);
    return await describeModel(path, id, (message) => expect.fail(message));
  }

  test("of no few-step kind changes no defaults", async () => {
    expect(await lora("watercolour")).toMatchObject({ kind: "lora", variant: "base" });
  });

  test.each([
    [
      "sdxl_lightning_8step_lora",
      "lightning",
      { steps: 8, scheduler: "euler", scheduler_config: { timestep_spacing: "trailing" } },
    ],
    ["Hyper-SDXL-8steps-lora", "hyper", { steps: 8, scheduler: "ddim" }],
    ["lcm-lora-sdxl", "lcm", { steps: 4, guidance_scale: 1, scheduler: "lcm" }],
    ["tcd-sdxl-lora", "tcd", { scheduler: "tcd", eta: 0.3 }],
    ["dmd2_sdxl_4step_lora_fp16", "dmd2", { timesteps: [999, 749, 499, 249] }],
  ])("%s is known by its name", async (name, variant, defaults) => {
    expect(await lora(name)).toMatchObject({ kind: "lora", variant, defaults });
  });

  test("without a name of its own is known by its repository's", async () => {
    expect(await lora("pytorch_lora_weights", "org/lcm-lora-sdxl")).toMatchObject({ variant: "lcm" });
  });
});
