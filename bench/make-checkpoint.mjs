#!/usr/bin/env node
/**
 * Writes a checkpoint of SDXL base's real size and names with random weights, for measuring time and memory:
 *
 *   node bench/make-checkpoint.mjs /tmp/sdxl-random.safetensors        one file, float16, 6.9 GB
 *   node bench/make-checkpoint.mjs /tmp/sdxl-random                    a diffusers folder of the same size
 *
 * The weights are normal with variance about 1 / fan-in, norms are ones, so that activations stay finite as in a trained
 * network. They follow from the shape of a tensor alone, from a fixed seed: every run writes the same bytes.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeSafetensors } from "../packages/diffusion/dist/checkpoint/write-safetensors.js";
import { standardVocabulary } from "../packages/diffusion/dist/text/standard-vocabulary.js";
import { SDXL_CONFIGS } from "./sdxl-configs.mjs";

const [path] = process.argv.slice(2);
if (!path) {
  console.error("usage: node bench/make-checkpoint.mjs FILE.safetensors | FOLDER");
  process.exit(2);
}

/** Normal numbers as float16, times a power of two that is set by their exponent; one pool serves every tensor. */
const POOL = 1 << 20;
const random = mulberry32(1);
const pool = Uint16Array.from({ length: POOL }, () =>
  toHalf(Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())),
);

if (path.endsWith(".safetensors")) await writeWeights(path, await manifest("sdxl-base.json"));
else await writeFolder(path);

async function writeFolder(folder) {
  for (const [name, config] of Object.entries(SDXL_CONFIGS))
    await write(join(folder, name), `${JSON.stringify(config, null, 2)}\n`);
  for (const tokenizer of ["tokenizer", "tokenizer_2"]) {
    const { tokens, merges } = standardVocabulary("clip_l");
    await write(join(folder, tokenizer, "vocab.json"), JSON.stringify(Object.fromEntries(tokens)));
    await write(join(folder, tokenizer, "merges.txt"), ["#version: 0.2", ...merges, ""].join("\n"));
  }
  for (const [file, shapes] of Object.entries(await manifest("sdxl-base.folder.json"))) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeWeights(join(folder, `${file}.safetensors`), shapes);
  }
}

async function write(file, text) {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function manifest(name) {
  return JSON.parse(await readFile(new URL(`./manifests/${name}`, import.meta.url), "utf8"));
}

async function writeWeights(file, shapes) {
  const tensors = Object.entries(shapes).map(([name, shape]) => ({
    name,
    type: "float16",
    shape,
    bytes: () => bytesOf(name, shape),
  }));
  // transformers asks for the format's mark.
  await writeSafetensors(file, tensors, { format: "pt", "modelspec.title": "random weights for measuring" });
}

function* bytesOf(name, shape) {
  const count = shape.reduce((product, size) => product * size, 1);
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
  const norm = shape.length === 1 && name.endsWith("weight");
  const shift = Math.max(0, Math.round(Math.log2(Math.sqrt(fanIn))));
  const block = norm
    ? new Uint16Array(POOL).fill(0x3c00)
    : shape.length === 1
      ? new Uint16Array(POOL)
      : pool.map((half) => scaled(half, shift));
  for (let at = 0; at < count; at += POOL) yield new Uint8Array(block.buffer, 0, 2 * Math.min(POOL, count - at));
}

/** half x 2^-shift by its exponent; what would be subnormal becomes zero. */
function scaled(half, shift) {
  const exponent = (half >> 10) & 31;
  return exponent <= shift ? 0 : half - (shift << 10);
}

function toHalf(value) {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0];
  const exponent = ((bits >> 23) & 255) - 112;
  return exponent <= 0 ? 0 : ((bits >> 16) & 0x8000) | (exponent << 10) | ((bits >> 13) & 0x3ff);
}

/** Tommy Ettinger's 32-bit generator: the noise only has to be the same each time. */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
