#!/usr/bin/env node
/**
 * Where the time of one UNet call goes on OpenVINO: seconds by type of operation and by the kernel that ran it.
 *
 *   node bench/openvino-profile.mjs CHECKPOINT [--size 512] [--rows 2] [--precision bfloat16|int8|float32] [--network unet|vae] [--nodes 0]
 *
 * Asks the plugin to count each operation of the second call (the first one packs weights), which costs a few per cent by itself.
 */
import { parseArgs } from "node:util";
import { DiffusionModel, findOpenVino, openVinoBackend } from "../packages/diffusion/dist/index.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: "string", default: "512" },
    rows: { type: "string", default: "2" },
    precision: { type: "string", default: "bfloat16" },
    network: { type: "string", default: "unet" },
    nodes: { type: "string", default: "0" },
  },
});
const [checkpoint] = positionals;
const libraries = findOpenVino();
if (!checkpoint || !libraries) {
  console.error('usage: node bench/openvino-profile.mjs CHECKPOINT (and "kiln accel install" before it)');
  process.exit(2);
}

/** The operations of the last run. */
let operations = [];
const backend = openVinoBackend({
  libraries,
  precision: options.precision,
  threads: Number(process.env.BENCH_THREADS ?? 2),
  onProfile: (_, counted) => {
    operations = counted;
  },
});
const normal = (length) =>
  Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
const side = Number(options.size) / 8;
const { predictor, autoencoder } = await DiffusionModel.load(checkpoint, { backend });
const row = () => ({
  sample: normal(4 * side * side),
  timestep: 500,
  conditioning: { text: normal(77 * 2048), addition: normal(2816) },
  adapters: [],
  controls: [],
});
const rows = Array.from({ length: Number(options.rows) }, row);
const latents = normal(4 * side * side);
const call = {
  unet: () => predictor.predict(rows, { height: side, width: side }, undefined),
  vae: () => autoencoder.decode(latents, side, side),
}[options.network];

await call();
const before = performance.now();
await call();
const wall = (performance.now() - before) / 1000;

const seconds = (counted) => counted.reduce((sum, { microseconds }) => sum + microseconds / 1e6, 0);
const groups = new Map();
for (const operation of operations) {
  const key = `${operation.type} ${operation.kernel}`;
  groups.set(key, [...(groups.get(key) ?? []), operation]);
}
const total = seconds(operations);
console.log(`${options.network}, ${options.size}x${options.size}, ${wall.toFixed(2)} s, ${total.toFixed(2)} s counted`);
for (const [key, group] of [...groups].sort(([, a], [, b]) => seconds(b) - seconds(a))) {
  const share = `${((100 * seconds(group)) / total).toFixed(1)} %`;
  console.log(`${seconds(group).toFixed(3).padStart(9)} s ${share.padStart(7)} ${String(group.length).padStart(5)} x ${key}`);
}
for (const operation of operations.sort((a, b) => b.microseconds - a.microseconds).slice(0, Number(options.nodes)))
  console.log(`${seconds([operation]).toFixed(4)} s  ${operation.type} ${operation.kernel} ${operation.name}`);
process.exit(0);
