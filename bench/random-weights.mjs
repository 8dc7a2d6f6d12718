/**
 * Random weights for measuring. They are normal with variance about 1 / fan-in, norms are ones, so that activations stay finite as in a
 * trained network. They follow from the shape of a tensor alone, from a fixed seed: every run writes the same bytes.
 */
import { writeSafetensors } from "../packages/diffusion/dist/checkpoint/write-safetensors.js";

/** Normal numbers as float16, times a power of two that is set by their exponent; one pool serves every tensor. */
const POOL = 1 << 20;
const random = mulberry32(1);
const pool = Uint16Array.from({ length: POOL }, () =>
  toHalf(Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())),
);

/** Writes a safetensors file in float16; `shapes` by the tensors' names. */
export async function writeRandomWeights(file, shapes) {
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
