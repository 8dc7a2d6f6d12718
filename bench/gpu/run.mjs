#!/usr/bin/env node
/**
 * Measures Kiln on a GPU beside diffusers, part by part (see parts.mjs), and appends every figure to OUT/results.jsonl as it comes, so
 * that a call that is cut loses nothing. Parts that have ended before are left out unless they are named with --only.
 *
 *   node bench/gpu/run.mjs --out OUT [--only machine,single,...] [--device cuda] [--precision float16] [--engines kiln,eager,compile]
 *        [--checkpoint FOLDER] [--reference FOLDER] [--python python3] [--size 1024] [--steps 20,30] [--batches 1,2,4,8,16]
 *        [--repeats 5] [--clients 8] [--minutes 9] [--kiln-options '{"cudaGraphs":false}'] [--tiny]
 *
 * --minutes stops before a part that would not end within so many minutes of the start, and cuts one that has not ended half a minute
 * later: its lines stay, and it is begun again by the next call. --tiny is for machines without a GPU: the
 * reference's tiny checkpoint, small pictures, few steps. run.sh calls this with what unpack.sh unpacked.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DeviceWatch } from "./device-watch.mjs";
import { PARTS } from "./parts.mjs";
import { reportOf } from "./report.mjs";
import { Worker } from "./worker.mjs";

/** How long a part may go on after the last minute: results and tables have to be brought back within the rest of a call. */
const GRACE_SECONDS = 30;

/** SDXL base in float16 takes 6.9 GB, and a ControlNet beside it 2.5 GB. */
const CHECKPOINT_BYTES = 11e9;

const text = { type: "string" };
const { values: given } = parseArgs({
  options: {
    out: text,
    only: text,
    device: { ...text, default: "cuda" },
    "torch-device": text,
    precision: text,
    engines: { ...text, default: "kiln,eager,compile" },
    checkpoint: text,
    reference: text,
    python: { ...text, default: process.env.PYTHON ?? "python3" },
    size: text,
    steps: text,
    batches: text,
    repeats: text,
    clients: text,
    guidance: { ...text, default: "5" },
    minutes: { ...text, default: "600" },
    "kiln-options": { ...text, default: "{}" },
    tiny: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (!given.out || given.help) {
  console.error("usage: run.mjs --out FOLDER [options]   (see the top of the file)");
  process.exit(given.help ? 0 : 2);
}
const settings = settingsOf(given);
mkdirSync(settings.out, { recursive: true });
const results = join(settings.out, "results.jsonl");
// A call that was cut may have left half a line.
if (existsSync(results) && !readFileSync(results, "utf8").endsWith("\n")) appendFileSync(results, "\n");
const deadline = Date.now() + 60_000 * Number(given.minutes);
const named = given.only?.split(",");
const watch = new DeviceWatch();
watch.start();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => end(1, `Ended by ${signal}.`));
setTimeout(() => end(1, "The time is over: what runs is cut."), deadline - Date.now() + 1000 * GRACE_SECONDS).unref();

let failed = 0;
for (const name of named ?? Object.keys(PARTS)) {
  const part = PARTS[name];
  if (!part) throw new Error(`"${name}" is no part; there are ${Object.keys(PARTS).join(", ")}.`);
  if (!named && linesOf(name).some(({ event }) => event === "done" || event === "failed")) continue;
  const left = (deadline - Date.now()) / 1000;
  if (!settings.tiny && left < part.seconds) {
    console.log(`${name}: left for the next call; it takes about ${part.seconds} s, and ${Math.round(left)} s are left`);
    break;
  }
  failed += await runPart(name, part);
}
end(failed > 0 ? 1 : 0);

/** Leaves nothing that runs, and the tables of what has been measured. */
function end(code, reason) {
  Worker.killAll();
  watch.stop();
  writeFileSync(join(settings.out, "report.md"), reportOf(readLines()));
  if (reason !== undefined) console.log(reason);
  console.log(`Results: ${results}; tables: ${join(settings.out, "report.md")}`);
  process.exit(code);
}

/** One part from begin to end. @returns 1 where it failed */
async function runPart(name, part) {
  const errors = [];
  const record = (line) => {
    if (line.error !== undefined) errors.push(line.error);
    append(line);
  };
  const append = (line) => appendFileSync(results, `${JSON.stringify({ at: new Date().toISOString(), part: name, ...line })}\n`);
  const started = performance.now();
  record({ event: "begin", load: loadavg()[0], settings: { ...settings, out: undefined } });
  console.log(`${name} ...`);
  try {
    await part.run({ settings, record, open, watch, lines: linesOf });
    const seconds = (performance.now() - started) / 1000;
    record({ event: "done", seconds });
    const failures = errors.length > 0 ? `; ${errors.length} failures, the first: ${errors[0]}` : "";
    console.log(`${name}: done in ${seconds.toFixed(1)} s${failures}`);
    return 0;
  } catch (error) {
    record({ event: "failed", error: error.message });
    console.log(`${name}: FAILED: ${error.message}`);
    return 1;
  }
}

/** A process of an engine; what it prints goes to a log of its name. */
function open(engine, env = {}) {
  const log = join(settings.out, `${engine}.log`);
  const script = (name) => fileURLToPath(new URL(name, import.meta.url));
  if (engine === "kiln") return new Worker(process.execPath, [script("./worker-kiln.mjs")], { env, log });
  return new Worker(settings.python, [script("./worker-diffusers.py"), engine], { env: { ...env, PYTHONUNBUFFERED: "1" }, log });
}

function readLines() {
  if (!existsSync(results)) return [];
  const lines = readFileSync(results, "utf8").split("\n");
  return lines.flatMap((line) => {
    try {
      return line === "" ? [] : [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}

function linesOf(part) {
  return readLines().filter((line) => line.part === part);
}

function settingsOf(values) {
  const { tiny, device } = values;
  const onGpu = device === "cuda" || device === "webgpu";
  const numbers = (value, fallback) => (value ?? fallback).split(",").map(Number);
  const here = (path) => fileURLToPath(new URL(path, import.meta.url));
  const reference =
    values.reference ??
    [here("../../../reference"), here("../../../shared/reference"), here("../../packages/diffusion/fixtures/reference")].find(
      (path) => existsSync(path),
    );
  return {
    out: resolve(values.out),
    tiny,
    device,
    torchDevice: values["torch-device"] ?? (onGpu ? "cuda" : "cpu"),
    precision: values.precision ?? (onGpu ? "float16" : "float32"),
    engines: values.engines.split(","),
    reference,
    checkpoint: values.checkpoint ?? (tiny ? join(reference, "checkpoints/tiny-xl") : join(roomy(), "sdxl-random")),
    python: values.python,
    size: Number(values.size ?? (tiny ? 64 : 1024)),
    steps: numbers(values.steps, tiny ? "2,3" : "20,30"),
    batches: numbers(values.batches, tiny ? "1,2" : "1,2,4,8,16"),
    repeats: Number(values.repeats ?? (tiny ? 2 : 5)),
    clients: Number(values.clients ?? (tiny ? 2 : 8)),
    guidance: Number(values.guidance),
    kilnOptions: JSON.parse(values["kiln-options"]),
  };
}

/** Memory where there is room for the weights, else the disk; containers often give /dev/shm 64 MiB. */
function roomy() {
  const shared = "/dev/shm";
  if (existsSync(join(shared, "sdxl-random"))) return shared;
  const { bavail, bsize } = existsSync(shared) ? statfsSync(shared) : { bavail: 0, bsize: 0 };
  return bavail * bsize > CHECKPOINT_BYTES ? shared : tmpdir();
}
