import { describe, expect, test } from "vitest";
import { referencePath } from "../testing/reference.ts";
import { findDistilled } from "./distilled.ts";
import { inspectFile } from "./inspect.ts";
import { nameOf } from "./names.ts";

const at = (name: string) => referencePath(`checkpoints/${name}`) ?? "";
/** A test that is skipped where a file of the reference set that it needs is not there: the project's own part has some of them. */
const testWith = (...names: string[]) => test.skipIf(names.some((name) => at(name) === ""));

describe("inspectFile", () => {
  describe.each([
    ["tiny-xl", "checkpoint"],
    ["tiny-xl.safetensors", "checkpoint"],
    ["tiny-xl-controlnet-depth", "controlnet"],
    ["tiny-taesd", "tiny vae"],
    ["tiny-xl/vae", "vae"],
    ["tiny-xl/unet/diffusion_pytorch_model.safetensors", "unet"],
    ["tiny-xl/text_encoder_2", "text encoder"],
    ["loras/kohya.safetensors", "lora"],
    ["loras/peft.safetensors", "lora"],
    ["loras/diffusers-old-unet.safetensors", "lora"],
    ["loras/loha.safetensors", "lora"],
    ["loras/lokr.safetensors", "lora"],
    ["embeddings/kiln-style.safetensors", "textual inversion"],
    ["upscalers/esrgan-x4.safetensors", "upscaler"],
    ["upscalers/esrgan-x4-old-names.safetensors", "upscaler"],
    ["upscalers/esrgan-x2.safetensors", "upscaler"],
    ["upscalers/compact-x4.safetensors", "upscaler"],
    ["ip-adapters/ip-adapter.safetensors", "ip-adapter"],
  ])("%s", (name, kind) => {
    testWith(name)(`is a ${kind}`, async () => {
      expect((await inspectFile(at(name))).kind).toBe(kind);
    });
  });

  testWith("tiny-xl-vpred.safetensors", "tiny-xl-vpred")("a checkpoint is described", async () => {
    const found = await inspectFile(at("tiny-xl-vpred.safetensors"), { config: at("tiny-xl-vpred") });
    expect(found).toMatchObject({
      family: "sdxl",
      prediction: "v_prediction",
      zeroTerminalSnr: true,
      missing: [],
      unknown: { count: 0 },
    });
    expect(found.networks.map(({ name }) => name)).toEqual(["unet", "vae", "textEncoder", "textEncoder2"]);
    expect(found.metadata["modelspec.prediction_type"]).toBe("v");
  });

  testWith("embeddings/kiln-style.safetensors")("an embedding is described by its shapes", async () => {
    const found = await inspectFile(at("embeddings/kiln-style.safetensors"));
    expect(found).toMatchObject({ family: "sdxl", embedding: { tokens: [], vectors: expect.any(Number) } });
    expect(Object.keys(found.embedding?.widths ?? {}).sort()).toEqual(["clip_g", "clip_l"]);
  });

  testWith("tiny-xl.safetensors")("a checkpoint that cannot be run is described with the reason", async () => {
    const found = await inspectFile(at("tiny-xl.safetensors"));
    expect(found.problem).toMatch(/config folder/);
    expect(found.networks).toHaveLength(4);
  });
});

describe("few-step checkpoints by name", () => {
  const clues = (name: string) => findDistilled({ name, metadata: new Map(), timeCondProjDim: null });
  test.each([
    ["sdxl_lightning_4step_unet", { kind: "lightning", steps: 4 }],
    ["juggernautXL_v9Rdphoto2Lightning", { kind: "lightning" }],
    ["sd_xl_turbo_1.0_fp16", { kind: "turbo" }],
    ["Hyper-SDXL-8steps-CFG", { kind: "hyper", steps: 8 }],
    ["dmd2_sdxl_4step_unet_fp16", { kind: "dmd2", steps: 4 }],
    ["lcm-sdxl", { kind: "lcm" }],
    ["hyperrealistic_v3", undefined],
    ["HyperRealism XL", undefined],
    ["sd_xl_base_1.0", undefined],
    ["stepwise_model", undefined],
  ])("%s", (name, expected) => {
    expect(clues(name)).toEqual(expected);
  });

  test("by scheduler and by guidance embedding", () => {
    const common = { name: "x", metadata: new Map<string, string>() };
    expect(findDistilled({ ...common, timeCondProjDim: 256 })).toEqual({ kind: "lcm" });
    expect(findDistilled({ ...common, timeCondProjDim: null, scheduler: { _class_name: "TCDScheduler" } })).toEqual({
      kind: "tcd",
    });
  });

  test("names of cache folders", () => {
    expect(nameOf("/c/models--stabilityai--sdxl-turbo/snapshots/71153311d3dbb46851df1931d3ca6e939de83304")).toContain(
      "sdxl-turbo",
    );
    expect(nameOf("/m/a.b.safetensors")).toBe("a.b");
  });
});
