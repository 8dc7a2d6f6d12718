/**
 * Kiln's side of bench/gpu/run.mjs: reads one request a line, answers one line of JSON each, and stays until its input ends.
 * See the functions of OPERATIONS for what can be asked.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { reducedPrecisionJudge } from "../../packages/diffusion/dist/conformance/reduced-precision.js";
import { runConformance } from "../../packages/diffusion/dist/conformance/run-conformance.js";
import { chooseBackend, Pipeline } from "../../packages/diffusion/dist/index.js";
import { openHostDevice } from "../../packages/diffusion/dist/testing/host-device.js";
import { median, percentile } from "./numbers.mjs";
import { sumByOp } from "./profile.mjs";

const PROMPT = "a red house under a full moon";
const URGENT = 10;
/** Steps and schedulers that the pictures of the mixed load take in turns. */
const MIXED_STEPS = [12, 20, 28, 16, 24];
const MIXED_SCHEDULERS = ["Euler", "DPM++ 2M Karras", "UniPC", "Euler a", "DDIM"];

let pipeline;
let rowsInAll = 2;

const OPERATIONS = { load, picture, mixed, urgent, profile, conformance };

/** The device's backend; `host` is the CUDA backend on the machine's own memory and the CPU's kernels, to try all of this without a GPU. */
function openBackend({ device, precision, options = {} }) {
  if (device !== "host") return chooseBackend({ device, precision, ...options }).backend;
  const host = openHostDevice(options);
  if (!host) throw new Error("ONNX Runtime's library is not here for this system");
  return host.backend;
}

/** Opens the checkpoint on the device and compiles the UNet; `options` go to the backend. */
async function load({ checkpoint, rows, ...choice }) {
  const started = performance.now();
  const backend = openBackend(choice);
  rowsInAll = rows;
  pipeline = await Pipeline.load(checkpoint, { backend, maxRows: rows, memoryLimit: Number.POSITIVE_INFINITY });
  await pipeline.model.predictor.warmUp();
  return { backend: backend.name, seconds: (performance.now() - started) / 1000 };
}

/**
 * So many pictures of one prompt in one call, from the prompt to pixels; the PNG of the first is timed apart.
 * `control` is a ControlNet's file, which looks at stripes.
 */
async function picture({ size, steps, batch, guidance, seed = 1, control }) {
  const stepEnds = [];
  let decoding;
  const started = performance.now();
  const since = () => (performance.now() - started) / 1000;
  const onProgress = ({ phase, picture: index }) => {
    if (phase === "denoising" && index === 0) stepEnds.push(since());
    if (phase === "decoding") decoding ??= since();
  };
  const request = { prompt: PROMPT, width: size, height: size, steps, guidanceScale: guidance, scheduler: "Euler" };
  const controls = control === undefined ? {} : { controls: [{ model: control, image: stripes(size) }] };
  const pictures = await pipeline.generate({ ...request, ...controls, seed, count: batch }, { onProgress });
  const seconds = since();
  const png = await pictures[0].encode("png");
  return { seconds, stepEnds, decode: seconds - decoding, png: since() - seconds, pngBytes: png.length };
}

function stripes(size) {
  return { width: size, height: size, data: Uint8Array.from({ length: 3 * size * size }, (_, i) => i >> 2) };
}

/** Draws until told to stop, in lanes that begin the next picture as soon as one is done; `draw` makes the request of each. */
function lanes(count, draw) {
  const stop = new AbortController();
  const events = [];
  const lane = async (index) => {
    for (let turn = 0; !stop.signal.aborted; turn++) {
      let last;
      const onProgress = ({ phase }) => {
        const now = performance.now();
        if (phase === "denoising") events.push({ at: now, kind: "step", seconds: last && (now - last) / 1000 });
        last = phase === "denoising" ? now : undefined;
      };
      try {
        await pipeline.generate(draw(index, turn), { onProgress, signal: stop.signal });
        events.push({ at: performance.now(), kind: "picture" });
      } catch (error) {
        if (error.code !== "cancelled") throw error;
      }
    }
  };
  const all = Promise.all(Array.from({ length: count }, (_, index) => lane(index)));
  all.catch(() => undefined); // whoever ends the lanes hears of it
  return {
    events,
    end: async () => {
      stop.abort();
      await all;
    },
  };
}

/** Draws one step of every number of pictures up to a full batch: a backend may make itself ready for each. */
async function warmUp({ size, guidance, clients }) {
  const started = performance.now();
  for (let batch = 1; batch <= clients; batch++) await picture({ size, steps: 1, batch, guidance });
  return (performance.now() - started) / 1000;
}

/** Throughput of the denoising loop while pictures of different steps, schedulers and prompts join and leave. */
async function mixed({ size, guidance, clients, warmSeconds, seconds }) {
  const warming = await warmUp({ size, guidance, clients });
  const { events, end } = lanes(clients, (lane, turn) => ({
    prompt: `${PROMPT}, number ${lane} of ${turn}`,
    width: size,
    height: size,
    guidanceScale: guidance,
    seed: 1000 * lane + turn,
    steps: MIXED_STEPS[(lane + turn) % MIXED_STEPS.length],
    scheduler: MIXED_SCHEDULERS[(2 * lane + turn) % MIXED_SCHEDULERS.length],
  }));
  await sleep(1000 * warmSeconds);
  const from = performance.now();
  await sleep(1000 * seconds);
  const to = performance.now();
  await end();
  const inside = events.filter(({ at }) => at >= from && at < to);
  const took = (to - from) / 1000;
  const steps = inside.filter(({ kind }) => kind === "step").length;
  const pictures = inside.filter(({ kind }) => kind === "picture").length;
  return { warming, took, steps, pictures, stepsPerSecond: steps / took, picturesOf20PerSecond: steps / 20 / took };
}

/** How long an urgent picture waits for its first step while the batch is full, through the denoiser and its policy. */
async function urgent({ size, guidance, clients, count, warmSeconds }) {
  const warming = await warmUp({ size, guidance, clients });
  const request = (seed, steps) => ({
    prompt: PROMPT,
    width: size,
    height: size,
    guidanceScale: guidance,
    seed,
    steps,
    scheduler: "Euler",
  });
  const { events, end } = lanes(clients, (lane, turn) => request(1000 * lane + turn, 20 + ((lane + turn) % 5)));
  await sleep(1000 * warmSeconds);
  const waits = [];
  for (let index = 0; index < count; index++) {
    const stop = new AbortController();
    const started = performance.now();
    let first;
    const onProgress = ({ phase }) => {
      if (phase === "denoising") first ??= (performance.now() - started) / 1000;
      if (first !== undefined) stop.abort();
    };
    await pipeline.generate(request(index, 4), { priority: URGENT, signal: stop.signal, onProgress }).catch((error) => {
      if (error.code !== "cancelled") throw error;
    });
    waits.push(first);
    await sleep(137 + 211 * (index % 3)); // at different moments of a step
  }
  await end();
  const step = median(events.flatMap(({ kind, seconds }) => (kind === "step" && seconds !== undefined ? [seconds] : [])));
  const firstStep = { p50: median(waits), p95: percentile(waits, 0.95), max: Math.max(...waits) };
  return { warming, rows: rowsInAll, step, firstStepDone: firstStep, waitBeyondOwnStep: firstStep.p50 - step };
}

/** A few steps and one decoding with the library's own timing of each node on, summed by op. */
async function profile({ checkpoint, device, precision, rows, options = {}, folder, size, guidance, batch, steps }) {
  await load({ checkpoint, device, precision, rows, options: { ...options, cudaGraphs: false, profile: join(folder, "kiln") } });
  const drawn = await picture({ size, steps, batch, guidance });
  await pipeline.dispose(); // profiles are written when sessions end
  pipeline = undefined;
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  if (files.length === 0) return { note: "this backend writes no profile" };
  return {
    steps,
    seconds: drawn.seconds,
    networks: files.map((name) => ({ name, ...sumByOp(readFileSync(join(folder, name), "utf8")) })),
  };
}

/** Networks of a kind held against reference cases: below float32 against torch's own error, else at each case's tolerance. */
async function conformance({ reference, kind, ...choice }) {
  const { precision } = choice;
  const reduced = precision === "float16" || precision === "bfloat16";
  const results = [];
  const cases = runConformance({
    folder: reference,
    kind,
    openBackend: () => openBackend(choice),
    ...(reduced ? { judge: reducedPrecisionJudge(precision) } : {}),
  });
  for await (const result of cases) results.push(result);
  return { results };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await OPERATIONS[name](request) };
  } catch (error) {
    answer = { error: `${error.code ?? error.name}: ${error.message}` };
  }
  const { maxRSS } = process.resourceUsage();
  process.stdout.write(`${JSON.stringify({ ...answer, hostPeakMib: Math.round(maxRSS / 1024) })}\n`);
}
process.exit(0); // native threads must not keep it
