/**
 * Kiln's side of bench/sdxl.mjs: measures one part and prints one line of JSON.
 *
 *   node bench/sdxl-kiln.mjs FOLDER PART SIZE CALLS ENGINE
 */
import { readFileSync } from "node:fs";
import { chooseBackend, DiffusionModel, onnxBackend, Pipeline } from "../packages/diffusion/dist/index.js";

const [folder, part, sizeText, callsText, engine] = process.argv.slice(2);
const [size, calls] = [Number(sizeText), Number(callsText)];
const threads = Number(process.env.BENCH_THREADS);
const backend = {
  kiln: () => onnxBackend({ threads, weights: "mapped" }),
  resident: () => onnxBackend({ threads, weights: "resident" }),
  openvino: () => chooseBackend({ device: "openvino", threads }).backend,
  "openvino-float32": () => chooseBackend({ device: "openvino", precision: "float32", threads }).backend,
  "openvino-int8": () => chooseBackend({ device: "openvino", precision: "int8", threads }).backend,
}[engine]();
const marks = {};

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const mark = (name) => {
  marks[name] = { wall: Date.now() / 1000 - Number(process.env.BENCH_START), cpu: cpu() };
};
const normal = (length) =>
  Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));

async function load() {
  const pipeline = await Pipeline.load(folder, { backend });
  mark("opened");
  await pipeline.model.predictor.warmUp();
  mark("ready");
  const stop = new AbortController();
  const onProgress = ({ step }) => {
    if (step < 1) return;
    mark("first step");
    stop.abort();
  };
  const request = { prompt: "a red house under a full moon", width: size, height: size, steps: 20, guidanceScale: 5, seed: 1 };
  await pipeline.generate(request, { onProgress, signal: stop.signal }).catch((error) => {
    if (error.code !== "cancelled") throw error;
  });
}

async function timed(call) {
  const times = [];
  for (let i = 0; i <= calls; i++) {
    const [wall, used] = [performance.now(), cpu()];
    await call();
    times.push({ wall: (performance.now() - wall) / 1000, cpu: cpu() - used });
  }
  [marks["first call"], ...marks.calls] = times;
}

async function step() {
  const { predictor } = await DiffusionModel.load(folder, { backend });
  await predictor.warmUp();
  mark("ready");
  const side = size / 8;
  const row = () => ({
    sample: normal(4 * side * side),
    timestep: 500,
    conditioning: { text: normal(77 * 2048), addition: normal(2816) },
    adapters: [],
    controls: [],
  });
  const rows = [row(), row()];
  await timed(() => predictor.predict(rows, { height: side, width: side }, undefined));
}

async function vae() {
  const { autoencoder } = await DiffusionModel.load(folder, { backend });
  mark("ready");
  const side = size / 8;
  const latents = normal(4 * side * side);
  await timed(() => autoencoder.decode(latents, side, side));
}

async function picture(steps, guidanceScale) {
  const pipeline = await Pipeline.load(folder, { backend });
  await pipeline.model.predictor.warmUp();
  mark("ready");
  const request = { prompt: "a red house under a full moon", width: size, height: size, steps, guidanceScale, seed: 1 };
  await timed(async () => {
    const [drawn] = await pipeline.generate(request);
    await drawn.encode("png");
  });
}

await { load, step, vae, picture: () => picture(20, 5), fewsteps: () => picture(4, 1) }[part]();
const status = readFileSync("/proc/self/status", "utf8");
const kibibytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
marks.peak = kibibytes("VmHWM");
marks.anonymous = kibibytes("RssAnon");
process.stdout.write(`${JSON.stringify(marks)}\n`, () => process.exit(0));
