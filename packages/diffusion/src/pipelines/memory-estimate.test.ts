import { readFileSync } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../backends/backend.ts";
import { onnxBackend } from "../backends/onnx/onnx-backend.ts";
import { findInt8Layers } from "../backends/openvino/int8-layers.ts";
import { isJsonObject } from "../checkpoint/json.ts";
import { elementCount } from "../checkpoint/views.ts";
import { encodeHeader } from "../checkpoint/write-safetensors.ts";
import { KilnError } from "../errors.ts";
import { referencePath } from "../testing/reference.ts";
import { DiffusionModel } from "./diffusion-model.ts";
import { memoryInReach } from "./machine-memory.ts";
import { checkFits, decodeTiling, estimateMemory } from "./memory-estimate.ts";
import { Pipeline } from "./pipeline.ts";

const MANIFEST = new URL("../../../../bench/manifests/sdxl-base.json", import.meta.url);
const GIB = 2 ** 30;

describe("SDXL at full size", () => {
  let folder = "";
  let path = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiln-memory-"));
    path = join(folder, "sdxl.safetensors");
    // The right header, and a hole in place of the weights.
    const shapes: unknown = JSON.parse(readFileSync(MANIFEST, "utf8"));
    const tensors = Object.entries(isJsonObject(shapes) ? shapes : {}).map(([name, shape]) => ({
      name,
      type: "float16" as const,
      shape: Array.isArray(shape) ? shape.map(Number) : [],
    }));
    const header = encodeHeader(tensors);
    await writeFile(path, header);
    await truncate(path, header.length + tensors.reduce((bytes, { shape }) => bytes + 2 * elementCount(shape), 0));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const load = (weights: "mapped" | "resident"): Promise<DiffusionModel> =>
    DiffusionModel.load(path, { backend: onnxBackend({ weights }) });
  const at = (side: number, rows = 2): { width: number; height: number; rows: number } => ({ width: side, height: side, rows });

  test("mapped weights take no memory of their own, resident ones four bytes a number", async () => {
    const mapped = estimateMemory({ model: await load("mapped"), ...at(1024) });
    const resident = estimateMemory({ model: await load("resident"), ...at(1024) });
    expect(mapped?.resident).toBeLessThan(0.5 * GIB);
    // 2.57 thousand million numbers of the UNet, 0.8 of the text encoders, 0.08 of the VAE.
    expect((resident?.resident ?? 0) - (mapped?.resident ?? 0)).toBeCloseTo(3.46e9 * 4, -9);
  });

  test("weights in int8 count a byte each, and the layers that stay as they are what they take", async () => {
    const resident = async (backend: Backend): Promise<number> =>
      estimateMemory({ model: await DiffusionModel.load(path, { backend }), ...at(1024) })?.resident ?? 0;
    const halves: Backend = { ...onnxBackend(), residentBytes: ({ byteLength }) => byteLength };
    const saved = (await resident(halves)) - (await resident({ ...halves, int8Weights: findInt8Layers }));
    // 1.87 thousand million of the UNet's 2.57 are linear layers over tokens: two bytes each become one, and each row has a scale.
    expect(saved).toBeCloseTo(1.862e9, -7);
  });

  test("1024x1024 with guidance fits into 20 GiB, whole and with resident weights too", async () => {
    for (const weights of ["mapped", "resident"] as const) {
      const model = await load(weights);
      expect(() => checkFits([{ model, ...at(1024) }], 20 * GIB)).not.toThrow();
      expect(decodeTiling(model, at(1024), 20 * GIB)).toBeUndefined();
    }
  });

  test("a picture that fits only in tiles is decoded in tiles", async () => {
    const model = await load("mapped");
    expect(() => checkFits([{ model, ...at(1536) }], 8 * GIB)).not.toThrow();
    expect(decodeTiling(model, at(1536), 8 * GIB)).toMatchObject({ tile: 96 });
  });

  test("a tensor that the device does not take is never made", async () => {
    // At 1024x1024 the decoder's largest tensor has 256 channels of 4 bytes: a GiB to the byte.
    const model = await DiffusionModel.load(path, { backend: { ...onnxBackend(), largestTensorBytes: GIB } });
    expect(decodeTiling(model, at(1024), 100 * GIB)).toBeUndefined();
    expect(decodeTiling(model, { width: 1032, height: 1024 }, 100 * GIB)).toMatchObject({ tile: 96 });
  });

  test("what does not fit is refused, with numbers and a size that is not", async () => {
    const model = await load("resident");
    const refused = (): void => checkFits([{ model, width: 2048, height: 1024, rows: 4 }], 16 * GIB);
    expect(refused).toThrow(
      /^2048x1024 \(4 rows at once\) needs about [\d.]+ GiB of memory and 16 GiB are there: draw at \d+x\d+ or/,
    );
    expect(refused).toThrow(expect.objectContaining({ code: "out_of_memory", subject: "width" }));
    const [, width, height] = /draw at (\d+)x(\d+)/.exec(messageOf(refused)) ?? [];
    expect(() => checkFits([{ model, width: Number(width), height: Number(height), rows: 4 }], 16 * GIB)).not.toThrow();
    expect(() => checkFits([{ model, ...at(1024) }], 8 * GIB)).toThrow("use a smaller checkpoint");
  });

  test("a pipeline refuses before it compiles anything", async () => {
    const pipeline = await Pipeline.load(path, { backend: onnxBackend({ weights: "resident" }), memoryLimit: 8 * GIB });
    await expect(pipeline.generate({ prompt: "a red house" })).rejects.toMatchObject({ code: "out_of_memory", subject: "width" });
    expect(pipeline.model.cache.bytes).toBe(0);
  });
});

describe.skipIf(referencePath("checkpoints/tiny-xl.safetensors") === undefined)("a small checkpoint", () => {
  test("is never refused, and decodes whole", async () => {
    const model = await DiffusionModel.load(referencePath("checkpoints/tiny-xl.safetensors") ?? "", {
      config: referencePath("checkpoints/tiny-xl") ?? "",
    });
    expect(() => checkFits([{ model, width: 1024, height: 1024, rows: 2 }], 1)).not.toThrow();
    expect(decodeTiling(model, { width: 512, height: 512 }, 1)).toBeUndefined();
  });
});

describe.skipIf(referencePath("checkpoints/tiny-xl.safetensors") === undefined)("a device that refuses the whole picture", () => {
  test("is given tiles", async () => {
    const decoded: number[] = [];
    const pipeline = await Pipeline.load(referencePath("checkpoints/tiny-xl.safetensors") ?? "", {
      config: referencePath("checkpoints/tiny-xl") ?? "",
      backend: refusing((width) => {
        decoded.push(width);
        return width > 96;
      }),
    });
    const [drawn] = await pipeline.generate({ prompt: "a red house", steps: 1, seed: 1n, width: 832, height: 64 });
    await pipeline.dispose();
    expect(drawn?.picture.width).toBe(832);
    expect(decoded).toEqual([104, 96, 96]);
  });
});

/** ONNX Runtime, as if on a device without the memory to decode latents of some widths. */
function refusing(refuses: (width: number) => boolean): Backend {
  const real = onnxBackend();
  return {
    ...real,
    async compile(graph) {
      const network = await real.compile(graph);
      if (graph.name !== "VAE decoder") return network;
      return {
        inputs: network.inputs,
        weightBytes: network.weightBytes,
        dispose: () => network.dispose(),
        run: async (inputs) => {
          if (refuses(inputs.latent?.shape[3] ?? 0)) throw new KilnError("out_of_memory", "The device is full.");
          return network.run(inputs);
        },
      };
    },
  };
}

test("memory in reach is more than this process holds and finite", () => {
  expect(memoryInReach()).toBeGreaterThan(50 * 2 ** 20);
  expect(memoryInReach()).toBeLessThan(2 ** 50);
});

function messageOf(work: () => void): string {
  try {
    work();
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "";
}
