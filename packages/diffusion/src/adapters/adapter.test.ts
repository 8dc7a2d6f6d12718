import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/checkpoint.ts";
import { underPrefix } from "../checkpoint/layouts/renaming.ts";
import { renameUNet } from "../checkpoint/layouts/unet-names.ts";
import { readBytes } from "../checkpoint/read-tensor.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import type { TensorView, Weights } from "../checkpoint/tensor-view.ts";
import { type TensorToWrite, writeSafetensors } from "../checkpoint/write-safetensors.ts";
import { KilnError } from "../errors.ts";
import { denseDelta } from "../testing/dense-delta.ts";
import { referencePath } from "../testing/reference.ts";
import { type Adapter, fitAdapter, openAdapter } from "./adapter.ts";
import { sortAdapterKeys } from "./adapter-keys.ts";
import { TargetFinder } from "./adapter-targets.ts";

const at = (name: string) => referencePath(`checkpoints/${name}`) ?? "";
/** A test that is skipped where a file of the reference set that it needs is not there: the project's own part has some of them. */
const testWith = (...names: string[]) => test.skipIf(names.some((name) => at(name) === ""));

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-adapter-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function failure(promise: Promise<unknown>): Promise<KilnError> {
  const error: unknown = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof KilnError)) throw new Error(`no KilnError but ${String(error)}`);
  return error;
}

async function deltaOf(adapter: Adapter, target: string): Promise<Float32Array> {
  const layer = adapter.layers.get(target);
  if (layer === undefined) throw new Error(`${target} is missing`);
  return denseDelta(await layer.factors());
}

/** Sum of squares, and the sum weighted by position, so that an exchanged order shows. */
function sums(delta: Float32Array): [number, number] {
  let squares = 0;
  let ramp = 0;
  for (const [i, value] of delta.entries()) {
    squares += value * value;
    ramp += value * ((i % 97) - 48);
  }
  return [squares, ramp];
}

describe("the reference's adapters", () => {
  // Sums of the delta by its definition in float64, computed with torch.
  const FILES = [
    ["kohya", "text_encoder:encoder.layers.0.mlp.fc1", 234, 36.368454997342866, 27.212408803170547],
    ["kohya", "unet:up_blocks.0.attentions.0.proj_in", 234, 18.33716983007671, -156.1762601826049],
    ["kohya-conv", "unet:up_blocks.0.attentions.0.proj_in", 278, 49.885640373940845, 133.93174573214492],
    ["peft", "unet:up_blocks.0.attentions.0.proj_in", 234, 69.03360029937906, -182.16825422272086],
    ["diffusers-old-unet", "unet:down_blocks.1.attentions.0.proj_in", 192, 65.34794689971818, -44.6891711280914],
    ["loha", "unet:up_blocks.0.attentions.0.proj_in", 234, 15.00771062444377, -104.96067174590002],
    ["lokr", "unet:up_blocks.0.attentions.0.proj_in", 234, 7.395969287186064, -29.023936836792473],
    ["kohya-conv", "unet:down_blocks.0.resnets.0.conv1", 278, 31.450498822197, -214.1172163538431],
    ["kohya-conv", "unet:up_blocks.0.resnets.2.conv_shortcut", 278, 66.61454270284021, -276.5128198416496],
    ["lokr", "unet:down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 234, 2.2010539226247507, -16.626468831851426],
    ["peft", "text_encoder_2:encoder.layers.3.self_attn.out_proj", 234, 59.294254947382704, -146.06524971500767],
  ] as const;
  describe.each(FILES)("%s: %s", (name, target, count, squares, ramp) => {
    testWith("tiny-xl", `loras/${name}.safetensors`)("changes the weight as defined", async () => {
      const checkpoint = await openCheckpoint(at("tiny-xl"));
      const adapter = fitAdapter(await openAdapter(at(`loras/${name}.safetensors`)), checkpoint.weights);
      expect(adapter.unknown).toEqual([]);
      expect(adapter.layers.size).toBe(count);
      const [foundSquares, foundRamp] = sums(await deltaOf(adapter, target));
      expect(foundSquares).toBeCloseTo(squares, 4);
      expect(foundRamp).toBeCloseTo(ramp, 3);
    });
  });

  testWith(
    "tiny-sd15",
    "loras/kohya.safetensors",
    "loras/peft.safetensors",
    "loras/loha.safetensors",
    "loras/lokr.safetensors",
  )("an adapter for another family is refused, and its own is named", async () => {
    const checkpoint = await openCheckpoint(at("tiny-sd15"));
    for (const name of ["kohya", "peft", "loha", "lokr"]) {
      const opened = await openAdapter(at(`loras/${name}.safetensors`));
      const error = await failure(Promise.resolve().then(() => fitAdapter(opened, checkpoint.weights)));
      expect(error.code).toBe("adapter_mismatch");
      expect(error.message).toMatch(/for Stable Diffusion XL\.$/);
    }
  });

  testWith("embeddings/kiln-style.safetensors", "tiny-xl")("a file that is no adapter is refused", async () => {
    expect((await failure(openAdapter(at("embeddings/kiln-style.safetensors")))).code).toBe("adapter_mismatch");
    expect((await failure(openAdapter(at("tiny-xl/vae/diffusion_pytorch_model.safetensors")))).code).toBe("adapter_mismatch");
  });

  testWith("tiny-xl", "tiny-xl.safetensors")("every name that trainers give to a layer leads to it", async () => {
    const checkpoint = await openCheckpoint(at("tiny-xl"));
    const single = await openSafetensors(at("tiny-xl.safetensors"));
    const unet = underPrefix(single.tensors, "model.diffusion_model.");
    const ours = renameUNet(unet).weights;
    const finder = new TargetFinder(checkpoint.weights);
    let layers = 0;
    for (const [name, view] of unet) {
      if (!name.endsWith(".weight") || view.shape.length < 2) continue;
      layers++;
      // The layer is found by where its bytes lie; that these are the right ones is what the checkpoints' tests hold.
      const layer = layerAt(ours, view);
      const original = name.slice(0, -".weight".length);
      const keys = [
        `lora_unet_${original.replaceAll(".", "_")}.lora_down.weight`,
        `lora_unet_${layer.replaceAll(".", "_")}.hada_w1_a`,
        `lycoris_${layer.replaceAll(".", "_")}.lokr_w1`,
        `unet.${layer}.lora_A.weight`,
        `unet.${layer}.lora.down.weight`,
        `base_model.model.${layer}.lora_A.default.weight`,
        `diffusion_model.${original}.lora_A.weight`,
      ];
      if (/attn\d\.to_/.test(layer)) keys.push(`unet.${layer.replace(/\.(to_[a-z]+)(\.0)?$/, ".processor.$1_lora")}.down.weight`);
      for (const key of keys) expect([key, finderTarget(finder, key)]).toEqual([key, `unet:${layer}`]);
    }
    expect(layers).toBeGreaterThan(200);
    for (const [prefix, network] of [
      ["lora_te1_text_model_", "text_encoder"],
      ["lora_te_text_model_", "text_encoder"],
      ["lora_te2_text_model_", "text_encoder_2"],
    ]) {
      expect(finderTarget(finder, `${prefix}encoder_layers_1_self_attn_q_proj.lora_down.weight`)).toBe(
        `${network}:encoder.layers.1.self_attn.q_proj`,
      );
    }
    expect(finderTarget(finder, "text_encoder.text_model.encoder.layers.0.self_attn.to_out_lora.down.weight")).toBe(
      "text_encoder:encoder.layers.0.self_attn.out_proj",
    );
    expect(finderTarget(finder, "text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora_linear_layer.up.weight")).toBe(
      "text_encoder_2:encoder.layers.0.mlp.fc1",
    );
  });

  testWith("tiny-xl", "loras/lokr.safetensors")("changed files end in errors of ours or in finite numbers", async () => {
    const checkpoint = await openCheckpoint(at("tiny-xl"));
    const whole = await openSafetensors(at("loras/lokr.safetensors"));
    const tensors = [...whole.tensors].slice(0, 24);
    const bytes = new Map<string, Uint8Array>();
    for (const [name, view] of tensors) bytes.set(name, await readBytes(view));
    const change = fc.record({
      tensor: fc.nat(tensors.length - 1),
      kind: fc.constantFrom("drop", "shape", "noise", "rename"),
      by: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const path = join(folder, "fuzz.safetensors");
        await writeSafetensors(path, mutated(tensors, bytes, changes));
        try {
          const adapter = fitAdapter(await openAdapter(path), checkpoint.weights);
          for (const target of adapter.layers.keys()) expect((await deltaOf(adapter, target)).every(Number.isFinite)).toBe(true);
        } catch (error) {
          if (!(error instanceof KilnError)) throw error;
        }
      }),
      { numRuns: 60 },
    );
  });
});

function layerAt(weights: Weights, view: TensorView): string {
  for (const [name, other] of weights) if (other.offset === view.offset) return name.slice(0, -".weight".length);
  throw new Error("no such tensor");
}

function finderTarget(finder: TargetFinder, key: string): string | undefined {
  const view: TensorView = { source: new Uint8Array(4), offset: 0, byteLength: 4, type: "float32", shape: [1] };
  const [module = ""] = sortAdapterKeys(new Map([[key, view]])).modules.keys();
  const target = finder.find(module);
  return target === undefined ? undefined : `${target.network}:${target.layer}`;
}

interface Change {
  readonly tensor: number;
  readonly kind: string;
  readonly by: number;
}

function mutated(
  tensors: readonly (readonly [string, TensorView])[],
  bytes: ReadonlyMap<string, Uint8Array>,
  changes: readonly Change[],
): TensorToWrite[] {
  const out = tensors.map(([name, { type, shape }]) => {
    const data = bytes.get(name) ?? new Uint8Array();
    return { name, type, shape, bytes: () => data };
  });
  for (const { tensor, kind, by } of changes) {
    const old = out[tensor % out.length];
    if (old === undefined) continue;
    const data = new Uint8Array(old.bytes());
    if (kind === "drop") out.splice(out.indexOf(old), 1);
    else if (kind === "rename") out.splice(out.indexOf(old), 1, { ...old, name: `${old.name}${by}` });
    else if (kind === "shape") out.splice(out.indexOf(old), 1, { ...old, shape: [old.shape.reduce((a, b) => a * b, 1), 1] });
    else out.splice(out.indexOf(old), 1, { ...old, bytes: () => data.map((byte) => byte ^ by) });
  }
  return out;
}
