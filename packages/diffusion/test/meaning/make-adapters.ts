import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openComponent } from "../../src/checkpoint/folder.ts";
import { readTensor } from "../../src/checkpoint/read-tensor.ts";
import type { TensorView, Weights } from "../../src/checkpoint/tensor-view.ts";
import { type TensorToWrite, writeSafetensors } from "../../src/checkpoint/write-safetensors.ts";
import { createRandom, type RandomSource } from "../../src/index.ts";

/**
 * A LoRA that takes the words away from a UNet: on every layer through which cross-attention hears the prompt it is minus
 * that layer's own weights, so that at weight 1 nothing is heard.
 */
export async function deafeningLora(checkpoint: string, file: string): Promise<void> {
  const unet = await unetOf(checkpoint);
  const tensors: TensorToWrite[] = [];
  for (const [name, view] of unet) {
    const layer = /^(.*\.attn2\.to_v)\.weight$/.exec(name)?.[1];
    const [rows = 0] = view.shape;
    if (layer === undefined) continue;
    const minusOne = Float32Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) === 0 ? -1 : 0));
    tensors.push(tensor(`unet.${layer}.lora_A.weight`, view.shape, await readTensor(view)));
    tensors.push(tensor(`unet.${layer}.lora_B.weight`, [rows, rows], minusOne));
  }
  await writeSafetensors(file, tensors);
}

const RANK = 4;

/** A LoRA of random matrices on every attention of a UNet, in kohya's names, as strong as its layers at weight 1. */
export async function randomLora(checkpoint: string, file: string, seed: number): Promise<void> {
  const unet = await unetOf(checkpoint);
  const random = createRandom("torch-cpu", BigInt(seed));
  const tensors: TensorToWrite[] = [];
  for (const [name, view] of unet) {
    const layer = /^(.*\.attn[12]\.to_[qkv])\.weight$/.exec(name)?.[1];
    const [rows = 0, columns = 0] = view.shape;
    if (layer === undefined) continue;
    const key = `lora_unet_${layer.replaceAll(".", "_")}`;
    const scale = 1 / Math.sqrt(columns * RANK);
    tensors.push(tensor(`${key}.lora_down.weight`, [RANK, columns], noise(random, RANK * columns, 1)));
    tensors.push(tensor(`${key}.lora_up.weight`, [rows, RANK], noise(random, rows * RANK, scale)));
    tensors.push(tensor(`${key}.alpha`, [], Float32Array.of(RANK)));
  }
  await writeSafetensors(file, tensors);
}

/** SiLU halves small numbers: this carries them through. */
const LOUD = 1.8;
const HINT_CHANNELS = [16, 32, 96, 256] as const;

/**
 * An untrained ControlNet of the UNet's shape, as a diffusers folder: the way down copied, the convolutions that look at the
 * picture random, the outer ones scaled by `strength` (0 is how training begins: it then changes nothing).
 */
export async function untrainedControlNet(checkpoint: string, folder: string, strength: number): Promise<void> {
  const unet = await unetOf(checkpoint);
  const random = createRandom("torch-cpu", 7n);
  const tensors: TensorToWrite[] = [];
  const convolution = (name: string, to: number, from: number, side: number, scale: number): void => {
    const shape = [to, from, side, side];
    const deviation = scale / Math.sqrt(from * side * side);
    tensors.push(tensor(`${name}.weight`, shape, noise(random, to * from * side * side, deviation)));
    tensors.push(tensor(`${name}.bias`, [to], new Float32Array(to)));
  };
  for (const [name, view] of unet) {
    if (!/^(conv_in|time_embedding|add_embedding|down_blocks|mid_block)\./.test(name)) continue;
    tensors.push(tensor(name, view.shape, await readTensor(view)));
  }
  const channels = await configOf(checkpoint);
  const [first = 0] = channels.blocks;
  convolution("controlnet_cond_embedding.conv_in", HINT_CHANNELS[0], 3, 3, LOUD);
  HINT_CHANNELS.slice(0, -1).forEach((from, i) => {
    convolution(`controlnet_cond_embedding.blocks.${2 * i}`, from, from, 3, LOUD);
    convolution(`controlnet_cond_embedding.blocks.${2 * i + 1}`, HINT_CHANNELS[i + 1] ?? from, from, 3, LOUD);
  });
  convolution("controlnet_cond_embedding.conv_out", first, HINT_CHANNELS[3], 3, LOUD);
  skipChannels(channels).forEach((width, i) => {
    convolution(`controlnet_down_blocks.${i}`, width, width, 1, strength);
  });
  const last = channels.blocks.at(-1) ?? first;
  convolution("controlnet_mid_block", last, last, 1, strength);
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "diffusion_pytorch_model.safetensors"), tensors);
  const config = { ...channels.config, _class_name: "ControlNetModel", conditioning_embedding_out_channels: HINT_CHANNELS };
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, conditioning_channels: 3 }));
}

interface Channels {
  readonly config: Readonly<Record<string, unknown>>;
  readonly blocks: readonly number[];
  readonly layers: number;
}

/** What each skip connection is wide: the first convolution, the layers of each level, and its halving but for the last level. */
function skipChannels({ blocks, layers }: Channels): number[] {
  const levels = blocks.flatMap((width, i) => Array<number>(layers + (i < blocks.length - 1 ? 1 : 0)).fill(width));
  return [blocks[0] ?? 0, ...levels];
}

async function configOf(checkpoint: string): Promise<Channels> {
  const config: unknown = JSON.parse(await readFile(join(checkpoint, "unet", "config.json"), "utf8"));
  if (typeof config !== "object" || config === null) throw new TypeError("the UNet's config is no object");
  const entries: Record<string, unknown> = { ...config };
  const blocks = Array.isArray(entries.block_out_channels) ? entries.block_out_channels.map(Number) : [];
  return { config: entries, blocks, layers: Number(entries.layers_per_block) };
}

async function unetOf(checkpoint: string): Promise<Weights> {
  return (await openComponent(join(checkpoint, "unet"))).tensors;
}

function noise(random: RandomSource, count: number, deviation: number): Float32Array {
  return Float32Array.from(random.normal(count), (value) => value * deviation);
}

function tensor(name: string, shape: TensorView["shape"], values: Float32Array): TensorToWrite {
  return { name, type: "float32", shape, bytes: () => new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}
