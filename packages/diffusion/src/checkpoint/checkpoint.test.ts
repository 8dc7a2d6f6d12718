import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KilnError } from "../errors.ts";
import { referencePath } from "../testing/reference.ts";
import { type Checkpoint, NETWORK_NAMES, openCheckpoint } from "./checkpoint.ts";
import { openControlNet, openTinyVae, openVae } from "./opened-network.ts";
import { readBytes, readTensor } from "./read-tensor.ts";
import { openSafetensors } from "./safetensors.ts";
import { writeSafetensors } from "./write-safetensors.ts";

const at = (name: string) => referencePath(`checkpoints/${name}`) ?? "";
/** A test that is skipped where a file of the reference set that it needs is not there: the project's own part has some of them. */
const testWith = (...names: string[]) => test.skipIf(names.some((name) => at(name) === ""));

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-checkpoint-"));
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

/** Every tensor of every network, by name, shape and value. */
async function expectSameTensors(a: Checkpoint, b: Checkpoint): Promise<void> {
  for (const network of NETWORK_NAMES) {
    const [left, right] = [a.weights[network], b.weights[network]];
    expect([...(left?.keys() ?? [])].sort()).toEqual([...(right?.keys() ?? [])].sort());
    for (const [name, view] of left ?? []) {
      const other = right?.get(name);
      if (other === undefined) throw new Error(`${name} is missing`);
      expect([name, ...other.shape]).toEqual([name, ...view.shape]);
      expect(
        Buffer.compare(Buffer.from((await readTensor(view)).buffer), Buffer.from((await readTensor(other)).buffer)),
        name,
      ).toBe(0);
    }
  }
}

describe("small checkpoints", () => {
  describe.each(["tiny-xl", "tiny-xl-refiner", "tiny-sd15"])("%s", (name) => {
    testWith(name, `${name}.safetensors`)("folder and single file hold the same numbers", async () => {
      const fromFolder = await openCheckpoint(at(name));
      const single = await openCheckpoint(at(`${name}.safetensors`), { config: at(name) });
      expect(single.configs).toEqual(fromFolder.configs);
      expect([fromFolder.unknown, single.unknown, fromFolder.missing, single.missing]).toEqual([[], [], [], []]);
      expect([fromFolder.layout, single.layout]).toEqual(["folder", "single"]);
      await expectSameTensors(fromFolder, single);
    });
  });

  testWith("tiny-xl")("SDXL base", async () => {
    const base = await openCheckpoint(at("tiny-xl"));
    expect(base).toMatchObject({ family: "sdxl", inpainting: false, prediction: "epsilon", zeroTerminalSnr: false });
    expect(base.configs).toMatchObject({ forceZerosForEmptyPrompt: true, requiresAestheticsScore: false });
    expect(base.configs.textEncoder).toMatchObject({ heads: 4, activation: "quick_gelu", projectionDim: null, layers: 3 });
    expect(base.configs.textEncoder2).toMatchObject({ heads: 4, activation: "gelu", projectionDim: 64, layers: 4 });
    expect(base.configs.unet).toMatchObject({
      attentionHeads: [2, 4, 8],
      transformerLayers: [1, 1, 2],
      additionEmbedType: "text_time",
    });
    expect(base.storageTypes.unet).toEqual(["float16"]);
    expect(base.tokenizers.tokenizer2).toBe(at("tiny-xl/tokenizer_2"));
  });

  testWith("tiny-xl-refiner")("the refiner", async () => {
    const refiner = await openCheckpoint(at("tiny-xl-refiner"));
    expect(refiner).toMatchObject({
      family: "sdxl-refiner",
      configs: { requiresAestheticsScore: true, forceZerosForEmptyPrompt: false },
    });
  });

  testWith("tiny-sd15")("SD 1.5", async () => {
    expect(await openCheckpoint(at("tiny-sd15"))).toMatchObject({
      family: "sd15",
      configs: { unet: { attentionHeads: [4, 4, 4, 4], useLinearProjection: false } },
    });
  });

  testWith("tiny-xl-inpaint")("inpainting", async () => {
    expect(await openCheckpoint(at("tiny-xl-inpaint"))).toMatchObject({ family: "sdxl", inpainting: true });
  });

  testWith("tiny-xl-vpred", "tiny-xl-vpred.safetensors")("v-prediction", async () => {
    const vpred = await openCheckpoint(at("tiny-xl-vpred.safetensors"), { config: at("tiny-xl-vpred") });
    expect(vpred).toMatchObject({
      prediction: "v_prediction",
      zeroTerminalSnr: true,
      unknown: [],
      storageTypes: { unet: ["bfloat16"] },
    });
  });

  testWith("tiny-xl.safetensors")(
    "a small single file cannot tell its head counts, and the message says what to do",
    async () => {
      const error = await failure(openCheckpoint(at("tiny-xl.safetensors")));
      expect(error.code).toBe("checkpoint_unknown");
      expect(error.message).toMatch(/config folder/);
    },
  );

  testWith("tiny-xl-refiner.safetensors", "tiny-sd15")("the config of another model is noticed", async () => {
    const error = await failure(openCheckpoint(at("tiny-xl-refiner.safetensors"), { config: at("tiny-sd15") }));
    expect(error.code).toBe("checkpoint_incomplete");
  });

  testWith(
    "loras/kohya.safetensors",
    "embeddings/kiln-style.safetensors",
    "tiny-xl-controlnet-pose",
  )("files that are no checkpoint are named for what they are", async () => {
    expect((await failure(openCheckpoint(at("loras/kohya.safetensors")))).message).toMatch(/looks like a LoRA/);
    expect((await failure(openCheckpoint(at("embeddings/kiln-style.safetensors")))).message).toMatch(/textual inversion/);
    expect((await failure(openCheckpoint(at("tiny-xl-controlnet-pose")))).code).toBe("checkpoint_unknown");
  });

  testWith(
    "tiny-xl",
    "tiny-xl.safetensors",
    "tiny-sd15",
  )("a VAE of its own, in both layouts", async () => {
    const folderVae = await openVae(at("tiny-xl/vae"));
    const original = await openSafetensors(at("tiny-xl.safetensors"));
    const tensors = [...original.tensors].filter(([name]) => name.startsWith("first_stage_model."));
    const bytes = new Map<string, Uint8Array>();
    for (const [name, view] of tensors) bytes.set(name, await readBytes(view));
    const path = join(folder, "my.vae.safetensors");
    const write = (cut: number) =>
      writeSafetensors(
        path,
        tensors.map(([name, { type, shape }]) => ({
          name: name.slice(cut),
          type,
          shape,
          bytes: () => bytes.get(name) ?? new Uint8Array(),
        })),
      );
    for (const cut of [0, "first_stage_model.".length]) {
      await write(cut);
      const vae = await openVae(path, { family: "sdxl" });
      expect(vae.config).toEqual(folderVae.config);
      expect([...vae.weights.keys()].sort()).toEqual([...folderVae.weights.keys()].sort());
    }
    const checkpoint = await openCheckpoint(at("tiny-sd15"), { vae: path });
    expect(checkpoint.weights.vae?.get("decoder.conv_in.weight")?.source).toBe(path);
    expect(checkpoint.configs.vae.scalingFactor).toBe(0.18215);
  });

  testWith(
    "tiny-xl-controlnet-pose",
    "tiny-taesd",
    "tiny-xl",
  )("ControlNets and tiny autoencoders", async () => {
    const pose = await openControlNet(at("tiny-xl-controlnet-pose"));
    expect(pose.config.conditioningEmbeddingOutChannels).toEqual([16, 16, 32, 32]);
    expect(pose.unknown).toEqual([]);
    const file = await openControlNet(at("tiny-xl-controlnet-pose/diffusion_pytorch_model.safetensors"));
    expect(file.config).toEqual(pose.config);
    const tiny = await openTinyVae(at("tiny-taesd"));
    expect(tiny.config).toMatchObject({ numEncoderBlocks: [1, 3, 3, 3], numDecoderBlocks: [3, 3, 3, 1] });
    expect((await failure(openControlNet(at("tiny-xl/unet")))).code).toBe("checkpoint_unknown");
    expect((await failure(openVae(at("tiny-xl/unet")))).code).toMatch(/checkpoint_unknown|file_unsupported/);
  });

  testWith("tiny-taesd")("a tiny autoencoder's halves under their author's names", async () => {
    const { weights } = await openTinyVae(at("tiny-taesd"));
    const whole = await openTinyVae(at("tiny-taesd"));
    for (const half of ["encoder", "decoder"]) {
      const path = join(folder, `taesd_${half}.safetensors`);
      const shift = half === "decoder" ? 1 : 0;
      const tensors = [];
      for (const [name, view] of weights) {
        const [, index, rest] = new RegExp(`^${half}\\.layers\\.(\\d+)\\.(.+)$`).exec(name) ?? [];
        if (index === undefined) continue;
        const bytes = await readBytes(view);
        tensors.push({ name: `${Number(index) + shift}.${rest}`, type: view.type, shape: view.shape, bytes: () => bytes });
      }
      await writeSafetensors(path, tensors);
      const opened = await openTinyVae(path);
      expect([...opened.weights.keys()].sort()).toEqual([...weights.keys()].filter((name) => name.startsWith(half)).sort());
      expect(opened.config).toMatchObject({
        numDecoderBlocks: whole.config.numDecoderBlocks,
        numEncoderBlocks: whole.config.numEncoderBlocks,
      });
    }
  });

  testWith("tiny-xl")("the Hugging Face cache: repository folder, snapshot, and symlinks to blobs", async () => {
    const repository = join(folder, "models--kiln--tiny-turbo");
    const snapshot = join(repository, "snapshots", "abc123");
    await mkdir(join(repository, "refs"), { recursive: true });
    await mkdir(join(repository, "blobs"));
    await writeFile(join(repository, "refs", "main"), "abc123");
    await mkdir(join(repository, "snapshots", "other"), { recursive: true });
    const files = ["model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json"];
    for (const part of ["unet", "vae"]) files.push(`${part}/config.json`, `${part}/diffusion_pytorch_model.safetensors`);
    for (const part of ["text_encoder", "text_encoder_2"]) files.push(`${part}/config.json`, `${part}/model.safetensors`);
    for (const [i, file] of files.entries()) {
      await mkdir(join(snapshot, file, ".."), { recursive: true });
      await symlink(at(`tiny-xl/${file}`), join(repository, "blobs", `${i}`));
      await symlink(join(file.includes("/") ? "../../../blobs" : "../../blobs", `${i}`), join(snapshot, file));
    }
    const checkpoint = await openCheckpoint(repository);
    expect(checkpoint.distilled).toEqual({ kind: "turbo" });
    const real = await realpath(at("tiny-xl/unet/diffusion_pytorch_model.safetensors"));
    expect(checkpoint.weights.unet?.get("conv_in.weight")?.source).toBe(real);
    await expectSameTensors(checkpoint, await openCheckpoint(snapshot));
  });
});

describe("shards and variants", () => {
  /** tiny-sd15 with its UNet in two shards. */
  async function sharded(name: string, index: (map: Record<string, string>) => unknown): Promise<string> {
    const target = join(folder, name);
    await mkdir(join(target, "unet"), { recursive: true });
    for (const part of ["vae", "text_encoder", "tokenizer", "scheduler", "model_index.json"])
      await symlink(at(`tiny-sd15/${part}`), join(target, part));
    await symlink(at("tiny-sd15/unet/config.json"), join(target, "unet/config.json"));
    const whole = await openSafetensors(at("tiny-sd15/unet/diffusion_pytorch_model.safetensors"));
    const map: Record<string, string> = {};
    for (const part of [1, 2]) {
      const shard = `diffusion_pytorch_model-0000${part}-of-00002.safetensors`;
      const mine = [...whole.tensors].filter((_, i) => i % 2 === part - 1);
      const tensors = [];
      for (const [tensor, view] of mine) {
        const bytes = await readBytes(view);
        map[tensor] = shard;
        tensors.push({ name: tensor, type: view.type, shape: view.shape, bytes: () => bytes });
      }
      await writeSafetensors(join(target, "unet", shard), tensors);
    }
    await writeFile(join(target, "unet/diffusion_pytorch_model.safetensors.index.json"), JSON.stringify(index(map)));
    return target;
  }

  testWith("tiny-sd15")("shards come together", async () => {
    const path = await sharded("sharded", (weight_map) => ({ metadata: {}, weight_map }));
    await expectSameTensors(await openCheckpoint(path), await openCheckpoint(at("tiny-sd15")));
  });

  testWith("tiny-sd15")("an index that leads elsewhere, or to tensors that are not there, is refused", async () => {
    const lead = (to: string) => (map: Record<string, string>) => ({ weight_map: { ...map, "conv_in.weight": to } });
    for (const [i, to] of [
      "/etc/passwd.safetensors",
      "../vae/diffusion_pytorch_model.safetensors",
      "..\\x.safetensors",
    ].entries()) {
      expect((await failure(openCheckpoint(await sharded(`bad-${i}`, lead(to))))).code).toBe("file_unsupported");
    }
    const absent = (map: Record<string, string>) => ({ weight_map: { ...map, nonsense: Object.values(map)[0] } });
    expect((await failure(openCheckpoint(await sharded("bad-absent", absent)))).message).toMatch(/lacks tensor "nonsense"/);
    expect((await failure(openCheckpoint(await sharded("bad-map", () => ({}))))).message).toMatch(/weight_map/);
  });

  testWith("tiny-sd15")("fp16 variants are found, and folders with pickles alone are refused", async () => {
    const path = await sharded("variant", (weight_map) => ({ weight_map }));
    await rm(join(path, "unet/diffusion_pytorch_model.safetensors.index.json"));
    expect((await failure(openCheckpoint(path))).code).toBe("file_not_found");
    await writeFile(join(path, "unet/diffusion_pytorch_model.bin"), "");
    expect((await failure(openCheckpoint(path))).code).toBe("file_unsupported");
    await symlink(
      at("tiny-sd15/unet/diffusion_pytorch_model.safetensors"),
      join(path, "unet/diffusion_pytorch_model.fp16.safetensors"),
    );
    expect((await openCheckpoint(path)).weights.unet?.size).toBe((await openCheckpoint(at("tiny-sd15"))).weights.unet?.size);
  });

  testWith("tiny-xl", "tiny-xl.safetensors")("configs that lie or ask for what is not implemented", async () => {
    const config: unknown = JSON.parse(await readFile(at("tiny-xl/unet/config.json"), "utf8"));
    const target = join(folder, "configs");
    await mkdir(join(target, "unet"), { recursive: true });
    const withField = async (fields: object) => {
      await writeFile(
        join(target, "unet/config.json"),
        JSON.stringify({ ...(typeof config === "object" ? config : {}), ...fields }),
      );
      return failure(openCheckpoint(at("tiny-xl.safetensors"), { config: target }));
    };
    for (const fields of [
      { resnet_time_scale_shift: "scale_shift" },
      { class_embed_type: "timestep" },
      { only_cross_attention: true },
      { dual_cross_attention: true },
      { down_block_types: ["A", "B", "C"] },
    ]) {
      const error = await withField(fields);
      expect(error.code).toBe("file_unsupported");
      expect(error.message).toContain(Object.keys(fields)[0]);
    }
    for (const fields of [
      { block_out_channels: [32, -64, 64] },
      { block_out_channels: "x" },
      { attention_head_dim: [2, 4] },
      { norm_eps: "1" },
      { in_channels: 1e9 },
      { attention_head_dim: [0, 1, 1] },
      { cross_attention_dim: null, transformer_layers_per_block: {} },
    ]) {
      expect((await withField(fields)).code, JSON.stringify(fields)).toBe("file_corrupt");
    }
    await writeFile(join(target, "unet/config.json"), "[1]");
    expect((await failure(openCheckpoint(at("tiny-xl.safetensors"), { config: target }))).code).toBe("file_corrupt");
  });
});
