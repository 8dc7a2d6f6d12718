#!/usr/bin/env node
/**
 * Measures SDXL at full size with Kiln and with diffusers, in turn, and prints a table with ratios:
 *
 *   node bench/make-checkpoint.mjs /tmp/sdxl-random
 *   PYTHON=$(bench/reference-environment.sh /tmp/reference-environment)
 *   node bench/sdxl.mjs /tmp/sdxl-random --python $PYTHON [--only load,cold,step256,step512,step1024,vae512,vae1024]
 *        [--engines kiln,resident,openvino,openvino-int8,float32,bfloat16,bfloat16-last,bfloat16-compiled,cpp-f16]
 *        [--repeats 3] [--calls 2] [--threads N] [--load-size 128] [--json FILE]
 *
 * Every measurement is a process of its own; the engines take turns, `--repeats` times, and the least of each number counts.
 * `load` is from the start of the process to the end of the first step, imports and text encoders included; `cold` is the same
 * with the page cache dropped before (root only). `picture512` is a whole picture in 20 steps with guidance, `fewsteps1024` one in
 * 4 steps without, each from the prompt to the PNG. `--calls` counts those after the first, which repacks weights. `kiln` is ONNX Runtime as Kiln uses it by default, `resident` keeps its weights as
 * float32 in memory, `openvino` is what `kiln accel install` brings, in bfloat16, and `openvino-float32` and `openvino-int8` in those precisions. `cpp-f16` and `cpp-q8_0` are
 * stable-diffusion.cpp, for which `--file` names the checkpoint as one file and `--cpp-python` a Python with the package
 * stable-diffusion-cpp-python. The others are diffusers: see bench/sdxl.py.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    "cpp-python": { type: "string" },
    file: { type: "string" },
    only: { type: "string", default: "load,cold,step512,step1024,vae1024" },
    engines: { type: "string", default: "kiln,float32,bfloat16" },
    repeats: { type: "string", default: "3" },
    calls: { type: "string", default: "2" },
    threads: { type: "string", default: `${availableParallelism()}` },
    "load-size": { type: "string", default: "128" },
    json: { type: "string" },
  },
});
const [folder] = positionals;
const engines = options.engines.split(",").filter((engine) => options.python !== undefined || isKiln(engine));
if (!folder || !existsSync(folder)) {
  console.error("usage: node bench/sdxl.mjs FOLDER [--python PYTHON] [--only PARTS] (see the top of the file)");
  process.exit(2);
}

const gibibytes = (bytes) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
console.log(
  `${cpus()[0]?.model}, ${options.threads} threads, ${gibibytes(totalmem())} of memory (${gibibytes(freemem())} free), Node ${process.version}`,
);

const results = {};
for (const part of options.only.split(",")) {
  const runs = Object.fromEntries(engines.map((engine) => [engine, []]));
  for (let repeat = 0; repeat < Number(options.repeats); repeat++) {
    for (const engine of engines) {
      const run = measure(part, engine);
      if (run) runs[engine].push(run);
    }
  }
  results[part] = runs;
  report(part, runs);
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ options, results }, null, 1)}\n`);
}

function isKiln(engine) {
  return ["kiln", "resident", "openvino", "openvino-float32", "openvino-int8"].includes(engine);
}

/** One process; undefined where it failed. */
function measure(part, engine) {
  const [, kind = "", digits = ""] = /^([a-z]+)(\d*)$/.exec(part) ?? [];
  if (kind === "cold") dropCaches();
  const size = digits || options["load-size"];
  const [interpreter, name, checkpoint] = isKiln(engine)
    ? [process.execPath, "./sdxl-kiln.mjs", folder]
    : engine.startsWith("cpp-")
      ? [options["cpp-python"] ?? options.python, "./sdxl-cpp.py", options.file]
      : [options.python, "./sdxl.py", folder];
  const args = [
    fileURLToPath(new URL(name, import.meta.url)),
    checkpoint,
    kind === "cold" ? "load" : kind,
    size,
    options.calls,
    engine,
  ];
  const env = { ...process.env, BENCH_START: `${Date.now() / 1000}`, BENCH_THREADS: options.threads };
  const { status, stdout, stderr } = spawnSync(interpreter, args, {
    env,
    encoding: "utf8",
  });
  if (status === 0) return JSON.parse(stdout.trim().split("\n").at(-1));
  console.error(`${part} of ${engine} failed (${status}):\n${stderr.split("\n").slice(-8).join("\n")}`);
  return undefined;
}

/** What was written must be on the disk before it can be dropped. */
function dropCaches() {
  spawnSync("sync");
  try {
    writeFileSync("/proc/sys/vm/drop_caches", "3");
  } catch {
    console.error("The page cache can be dropped by root alone: these are figures of a warm cache.");
  }
}

function report(part, runs) {
  const drawn = ["ready", "first call", ...(options.calls === "0" ? [] : ["calls"])];
  const rows = part === "load" || part === "cold" ? ["ready", "first step"] : drawn;
  const least = (engine, row, unit) => Math.min(...runs[engine].flatMap((run) => run[row] ?? []).map((time) => time[unit]));
  console.log(`\n${part}: seconds, wall / CPU; in brackets times the first engine's`);
  console.log(["", ...engines].map((name) => name.padEnd(28)).join(""));
  for (const row of rows) {
    const cells = engines.map((engine) => {
      const [wall, cpu] = ["wall", "cpu"].map((unit) => least(engine, row, unit));
      const [ownWall, ownCpu] = ["wall", "cpu"].map((unit) => least(engines[0], row, unit));
      const ratios = engine === engines[0] ? "" : ` (${(wall / ownWall).toFixed(2)} / ${(cpu / ownCpu).toFixed(2)})`;
      return `${wall.toFixed(2)} / ${cpu.toFixed(2)}${ratios}`;
    });
    console.log([row === "calls" ? "later calls" : row, ...cells].map((cell) => cell.padEnd(28)).join(""));
  }
  for (const [name, label] of [
    ["peak", "peak, mapped files too"],
    ["anonymous", "of it not mapped, at end"],
  ]) {
    const cells = engines.map((engine) => gibibytes(Math.max(...runs[engine].map((run) => run[name]))));
    console.log([label, ...cells].map((cell) => cell.padEnd(28)).join(""));
  }
}
