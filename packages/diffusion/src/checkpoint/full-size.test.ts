import { readFileSync } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KilnError } from "../errors.ts";
import { referencePath } from "../testing/reference.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { inspectFile } from "./inspect.ts";
import { isJsonObject } from "./json.ts";
import type { StorageType } from "./tensor-view.ts";
import { elementCount } from "./views.ts";
import { encodeHeader } from "./write-safetensors.ts";

interface Described {
  readonly name: string;
  readonly type: StorageType;
  readonly shape: readonly number[];
}

const BYTES = { float16: 2, float32: 4 } as const;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-full-size-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function tensorsOf(manifest: string, type: "float16" | "float32" = "float16"): Described[] {
  const shapes: unknown = JSON.parse(readFileSync(referencePath(`manifests/${manifest}.single.json`) ?? "", "utf8"));
  return Object.entries(isJsonObject(shapes) ? shapes : {}).map(([name, shape]) => ({
    name,
    type,
    shape: Array.isArray(shape) ? shape.map(Number) : [],
  }));
}

/** A file with the right header and a hole in place of gigabytes. */
async function sparse(tensors: readonly Described[], metadata?: Record<string, string>, name = "model"): Promise<string> {
  const path = join(folder, `${name}.safetensors`);
  const header = encodeHeader(tensors, metadata);
  await writeFile(path, header);
  const data = tensors.reduce(
    (bytes, { type, shape }) => bytes + elementCount(shape) * (type === "float32" ? BYTES.float32 : BYTES.float16),
    0,
  );
  await truncate(path, header.length + data);
  return path;
}

describe.skipIf(referencePath("manifests/sdxl-base.single.json") === undefined)(
  "full-size single files (needs the reference manifests)",
  () => {
    test("SDXL base needs no config", async () => {
      const checkpoint = await openCheckpoint(await sparse(tensorsOf("sdxl-base")));
      expect(checkpoint).toMatchObject({
        family: "sdxl",
        prediction: "epsilon",
        missing: [],
        unknown: [],
        parameters: { unet: 2_567_463_684 },
      });
      expect(checkpoint.bytes).toBeGreaterThan(6.9e9);
      expect(checkpoint.configs).toMatchObject({
        forceZerosForEmptyPrompt: true,
        scheduler: { _class_name: "EulerDiscreteScheduler", timestep_spacing: "leading", beta_start: 0.00085, steps_offset: 1 },
        vae: { scalingFactor: 0.13025, forceUpcast: true },
        textEncoder: { heads: 12, layers: 12, activation: "quick_gelu", projectionDim: null, intermediateSize: 3072 },
        textEncoder2: { heads: 20, layers: 32, activation: "gelu", projectionDim: 1280, intermediateSize: 5120 },
        unet: { additionEmbedType: "text_time", additionTimeEmbedDim: 256, projectionClassEmbeddingsInputDim: 2816 },
      });
    });

    test("refiner and SD 1.5 as well", async () => {
      const refiner = await openCheckpoint(await sparse(tensorsOf("sdxl-refiner")));
      expect(refiner).toMatchObject({
        family: "sdxl-refiner",
        missing: [],
        configs: { requiresAestheticsScore: true, unet: { projectionClassEmbeddingsInputDim: 2560 } },
      });
      const sd15 = await openCheckpoint(await sparse(tensorsOf("sd15", "float32")));
      expect(sd15).toMatchObject({
        family: "sd15",
        missing: [],
        storageTypes: { unet: ["float32"] },
        configs: { scheduler: { _class_name: "PNDMScheduler" }, vae: { scalingFactor: 0.18215 } },
      });
    });

    test("inpainting by its nine channels", async () => {
      const tensors = tensorsOf("sdxl-base").map((tensor) =>
        tensor.name.endsWith("input_blocks.0.0.weight") ? { ...tensor, shape: [320, 9, 3, 3] } : tensor,
      );
      expect(await openCheckpoint(await sparse(tensors))).toMatchObject({ inpainting: true, family: "sdxl" });
    });

    test("other numbers of input channels are refused", async () => {
      const tensors = tensorsOf("sd15").map((tensor) =>
        tensor.name.endsWith("input_blocks.0.0.weight") ? { ...tensor, shape: [320, 8, 3, 3] } : tensor,
      );
      await expect(openCheckpoint(await sparse(tensors))).rejects.toMatchObject({
        code: "file_unsupported",
        message: expect.stringContaining("8 input channels"),
      });
    });

    test("v-prediction and zero terminal SNR by marker tensors or metadata", async () => {
      const base = tensorsOf("sdxl-base");
      const marked = await openCheckpoint(
        await sparse([...base, { name: "v_pred", type: "float16", shape: [0] }, { name: "ztsnr", type: "float16", shape: [0] }]),
      );
      expect(marked).toMatchObject({
        prediction: "v_prediction",
        zeroTerminalSnr: true,
        unknown: [],
        configs: { scheduler: { timestep_spacing: "trailing", rescale_betas_zero_snr: true } },
      });
      const named = await openCheckpoint(await sparse(base, { "modelspec.prediction_type": "v" }));
      expect(named).toMatchObject({ prediction: "v_prediction", zeroTerminalSnr: false });
    });

    test("models trained in the way of EDM, by their marker tensors", async () => {
      const base = tensorsOf("sdxl-base");
      const statistics = ["edm_mean", "edm_std"].map((name) => ({ name, type: "float32" as const, shape: [1, 4, 1, 1] }));
      const playground = await openCheckpoint(await sparse([...base, ...statistics]));
      expect(playground.configs).toMatchObject({
        scheduler: { _class_name: "EDMDPMSolverMultistepScheduler", sigma_data: 0.5 },
        vae: { scalingFactor: 0.5, latentsMean: [0, 0, 0, 0] },
      });
      const range = ["edm_vpred.sigma_max", "edm_vpred.sigma_min"].map((name) => ({ name, type: "float32" as const, shape: [] }));
      expect(await openCheckpoint(await sparse([...base, ...range]))).toMatchObject({
        prediction: "v_prediction",
        unknown: [],
        configs: { scheduler: { _class_name: "EDMEulerScheduler" } },
      });
    });

    test("few-step checkpoints by their names", async () => {
      const checkpoint = await openCheckpoint(await sparse(tensorsOf("sdxl-base"), undefined, "sdxl_lightning_8step"));
      expect(checkpoint.distilled).toEqual({ kind: "lightning", steps: 8 });
    });

    test("a UNet alone says what is missing; extra tensors are listed", async () => {
      const unet = tensorsOf("sdxl-base").filter(({ name }) => name.startsWith("model.diffusion_model."));
      const checkpoint = await openCheckpoint(
        await sparse([...unet, { name: "model.diffusion_model.strange.weight", type: "float16", shape: [1] }]),
      );
      expect(checkpoint.missing).toEqual(["vae", "textEncoder", "textEncoder2"]);
      expect(checkpoint.unknown).toEqual(["model.diffusion_model.strange.weight"]);
      expect((await inspectFile(await sparse(unet))).kind).toBe("unet");
    });

    test("what is like SDXL and is not is refused", async () => {
      const base = tensorsOf("sdxl-base");
      const pruned = base.filter(({ name }) => !name.includes("middle_block.1.transformer_blocks.9."));
      await expect(openCheckpoint(await sparse(pruned))).rejects.toMatchObject({ code: "file_unsupported" });
      const scaled = [
        ...base,
        { name: "model.diffusion_model.input_blocks.4.1.proj_in.scale_weight", type: "float32" as const, shape: [] },
      ];
      await expect(openCheckpoint(await sparse(scaled))).rejects.toMatchObject({ code: "file_unsupported" });
    });

    test("files with missing, renamed and misshapen tensors end in errors of ours or in a description", async () => {
      const base = tensorsOf("sd15");
      const change = fc.record({
        tensor: fc.nat(base.length - 1),
        kind: fc.constantFrom("drop", "shape", "rename", "number"),
        shape: fc.array(fc.nat(9), { maxLength: 5 }),
        digits: fc.nat(99_999),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 40 }), async (changes) => {
          const tensors = new Map(base.map((tensor) => [tensor.name, tensor]));
          for (const { tensor, kind, shape, digits } of changes) {
            const old = base[tensor];
            if (old === undefined) continue;
            tensors.delete(old.name);
            if (kind === "shape") tensors.set(old.name, { ...old, shape });
            const name =
              kind === "rename" ? `${old.name}.x` : kind === "number" ? old.name.replace(/\d+/, String(digits)) : undefined;
            if (name !== undefined) tensors.set(name, { ...old, name });
          }
          const path = await sparse([...tensors.values()]);
          try {
            await inspectFile(path);
            await openCheckpoint(path);
          } catch (error) {
            if (!(error instanceof KilnError)) throw error;
          }
        }),
        { numRuns: 40 },
      );
    });
  },
);
