import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { referencePath } from "../testing/reference.ts";
import { countParameters } from "./checkpoint.ts";
import { inferClipTextConfig, inferControlNetConfig, inferUNetConfig, inferVaeConfig } from "./infer-configs.ts";
import { isJsonObject, type JsonObject } from "./json.ts";
import { renameClip } from "./layouts/clip-names.ts";
import { planFromOurs, unetModuleTable } from "./layouts/unet-names.ts";
import { controlNetOfFile, splitSingleFile } from "./single-file.ts";
import type { TensorView, Weights } from "./tensor-view.ts";
import { elementCount } from "./views.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

/** Views of float16 tensors that lie one after the other in a file that nobody reads. */
function views(shapes: Shapes): Weights {
  let offset = 0;
  const tensors = new Map<string, TensorView>();
  for (const [name, shape] of Object.entries(shapes)) {
    const byteLength = 2 * elementCount(shape);
    tensors.set(name, { source: "/nowhere", offset, byteLength, type: "float16", shape });
    offset += byteLength;
  }
  return tensors;
}

function readManifest(name: string): JsonObject {
  const value: unknown = JSON.parse(readFileSync(referencePath(`manifests/${name}.json`) ?? "", "utf8"));
  if (!isJsonObject(value)) throw new Error(`${name} is no object`);
  return value;
}

/** Views for an object of names and shapes. */
function viewsOf(shapes: unknown): Weights {
  const found: Record<string, number[]> = {};
  for (const [name, shape] of Object.entries(isJsonObject(shapes) ? shapes : {}))
    found[name] = Array.isArray(shape) ? shape.map(Number) : [];
  return views(found);
}

const single = (name: string) => viewsOf(readManifest(`${name}.single`));
const folder = (name: string, part: string) => viewsOf(readManifest(`${name}.folder`)[part]);

const shapesOf = (weights: Weights | undefined) =>
  Object.fromEntries([...(weights ?? [])].map(([name, view]) => [name, view.shape]).sort());

const FAMILIES = [
  {
    manifestName: "sdxl-base",
    family: "sdxl",
    heads: [5, 10, 20],
    layers: [1, 2, 10],
    dim: 2048,
    parameters: 2_567_463_684,
    encoders: [12, 20],
  },
  {
    manifestName: "sdxl-refiner",
    family: "sdxl-refiner",
    heads: [6, 12, 24, 24],
    layers: [1, 4, 4, 4],
    dim: 1280,
    parameters: undefined,
    encoders: [undefined, 20],
  },
  {
    manifestName: "sd15",
    family: "sd15",
    heads: [8, 8, 8, 8],
    layers: [1, 1, 1, 1],
    dim: 768,
    parameters: 859_520_964,
    encoders: [12, undefined],
  },
] as const;

describe.skipIf(referencePath("manifests/sdxl-base.single.json") === undefined)(
  "real checkpoints, by names and shapes (needs the reference manifests)",
  () => {
    test.each(FAMILIES)("$manifestName: the single file holds the folder's tensors, one to one", ({ manifestName }) => {
      const parts = splitSingleFile(single(manifestName));
      expect(parts.unknown).toEqual([]);
      expect(shapesOf(parts.unet)).toEqual(shapesOf(folder(manifestName, "unet/diffusion_pytorch_model")));
      expect(shapesOf(parts.vae)).toEqual(shapesOf(folder(manifestName, "vae/diffusion_pytorch_model")));
      expect(shapesOf(parts.textEncoder)).toEqual(shapesOf(renameClip(folder(manifestName, "text_encoder/model")).weights));
      expect(shapesOf(parts.textEncoder2)).toEqual(shapesOf(renameClip(folder(manifestName, "text_encoder_2/model")).weights));
    });

    test.each(FAMILIES)(
      "$manifestName: its configuration is told by its shapes",
      ({ manifestName, family, heads, layers, dim, parameters, encoders }) => {
        const { unet, vae, textEncoder, textEncoder2 } = splitSingleFile(single(manifestName));
        if (unet === undefined || vae === undefined) throw new Error("networks are missing");
        const inferred = inferUNetConfig(unet, "file");
        expect(inferred.family).toBe(family);
        expect(inferred.config).toMatchObject({
          attentionHeads: heads,
          transformerLayers: layers,
          crossAttentionDim: dim,
          inChannels: 4,
          outChannels: 4,
          layersPerBlock: 2,
        });
        expect(inferred.config.useLinearProjection).toBe(family !== "sd15");
        if (parameters !== undefined) expect(countParameters(unet)).toBe(parameters);
        expect(inferVaeConfig(vae, family, "file")).toMatchObject({
          blockOutChannels: [128, 256, 512, 512],
          layersPerBlock: 2,
          latentChannels: 4,
          midBlockAddAttention: true,
          useQuantConv: true,
        });
        const found = [textEncoder, textEncoder2].map((weights) =>
          weights === undefined ? undefined : inferClipTextConfig(weights, "file").heads,
        );
        expect(found).toEqual(encoders);
      },
    );

    test("the networks alone are known as well, with and without prefix, in both kinds of names", () => {
      const whole = single("sdxl-base");
      const ours = folder("sdxl-base", "unet/diffusion_pytorch_model");
      const unetOnly = new Map([...whole].filter(([name]) => name.startsWith("model.diffusion_model.")));
      const bare = new Map([...unetOnly].map(([name, view]) => [name.slice("model.diffusion_model.".length), view]));
      for (const tensors of [unetOnly, bare, ours]) {
        const parts = splitSingleFile(tensors);
        expect(shapesOf(parts.unet)).toEqual(shapesOf(ours));
        expect([parts.vae, parts.unknown]).toEqual([undefined, []]);
      }
      const vae = folder("sdxl-base", "vae/diffusion_pytorch_model");
      const vaeOnly = new Map([...whole].filter(([name]) => name.startsWith("first_stage_model.")));
      const bareVae = new Map([...vaeOnly].map(([name, view]) => [name.slice("first_stage_model.".length), view]));
      for (const tensors of [vaeOnly, bareVae, vae]) expect(shapesOf(splitSingleFile(tensors).vae)).toEqual(shapesOf(vae));
    });

    test("ControlNet: both kinds of names", () => {
      const ours = folder("sdxl-controlnet", "diffusion_pytorch_model");
      const original = new Map([...ours].map(([name, view]) => [`control_model.${originalControlNetName(name, ours)}`, view]));
      expect(shapesOf(controlNetOfFile(original).weights)).toEqual(shapesOf(ours));
      const { family, config } = inferControlNetConfig(controlNetOfFile(original).weights, "file");
      expect(family).toBe("sdxl");
      expect(config).toMatchObject({
        conditioningChannels: 3,
        conditioningEmbeddingOutChannels: [16, 32, 96, 256],
        transformerLayers: [1, 2, 10],
      });
    });
  },
);

/** The name that the original layout gives to a ControlNet's tensor. */
function originalControlNetName(name: string, all: Weights): string {
  for (const [original, ours] of unetModuleTable(planFromOurs(all.keys()))) {
    if (name.startsWith(`${ours}.`)) return original + name.slice(ours.length);
  }
  const hints = ["conv_in", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks.5", "conv_out"];
  const hint = hints.findIndex((part) => name.startsWith(`controlnet_cond_embedding.${part}.`));
  const suffix = name.slice(name.lastIndexOf("."));
  if (hint >= 0) return `input_hint_block.${2 * hint}${suffix}`;
  if (name.startsWith("controlnet_mid_block.")) return `middle_block_out.0${suffix}`;
  return name.replace(/^controlnet_down_blocks\.(\d+)/, "zero_convs.$1.0");
}
