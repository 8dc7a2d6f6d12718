#!/usr/bin/env node
/**
 * Writes a checkpoint of SDXL base's real size and names with random weights, for measuring time and memory:
 *
 *   node bench/make-checkpoint.mjs /tmp/sdxl-random.safetensors        (float16, 6.9 GB)
 *
 * The weights are normal with variance 1 / fan-in, norms are ones, so that activations stay finite as in a trained network.
 */
import { readFile } from "node:fs/promises";
import { writeSafetensors } from "../packages/diffusion/dist/checkpoint/write-safetensors.js";

const [path] = process.argv.slice(2);
if (!path) {
  console.error("usage: node bench/make-checkpoint.mjs FILE.safetensors");
  process.exit(2);
}

/** Normal numbers as float16, times a power of two that is set by their exponent; one pool serves every tensor. */
const POOL = 1 << 20;
const pool = new Uint16Array(POOL);
for (let i = 0; i < POOL; i++) pool[i] = toHalf(Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));

const shapes = JSON.parse(await readFile(new URL("./manifests/sdxl-base.json", import.meta.url), "utf8"));
const tensors = Object.entries(shapes).map(([name, shape]) => ({ name, type: "float16", shape, bytes: () => bytesOf(name, shape) }));
await writeSafetensors(path, tensors, { "modelspec.title": "random weights for measuring" });

function* bytesOf(name, shape) {
  const count = shape.reduce((product, size) => product * size, 1);
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
  const norm = shape.length === 1 && name.endsWith("weight");
  const shift = Math.max(0, Math.round(Math.log2(Math.sqrt(fanIn))));
  const block = norm ? new Uint16Array(POOL).fill(0x3c00) : shape.length === 1 ? new Uint16Array(POOL) : pool.map((half) => scaled(half, shift));
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
