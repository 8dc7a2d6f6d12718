/**
 * What is measured, part by part. Each part takes a bench (run.mjs makes it): its settings, its workers, and `record`, which appends
 * a line to the results at once. `seconds` is what a part should take on an H200, for planning calls; no part waits for another's
 * result, but `best` reads the best batch from the lines that `batches` wrote.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./numbers.mjs";

const MIB = 2 ** 20;
const sibling = (name) => fileURLToPath(new URL(name, import.meta.url));

export const PARTS = {
  machine: { seconds: 20, run: machine },
  checkpoint: { seconds: 60, run: makeCheckpoint },
  conformance: { seconds: 90, run: conformance },
  "torch-errors": { seconds: 40, run: torchErrors },
  single: { seconds: 210, run: single },
  batches: { seconds: 200, run: batches },
  profile: { seconds: 60, run: profile },
  best: { seconds: 180, run: best },
  mixed: { seconds: 80, run: mixed },
  urgent: { seconds: 60, run: urgent },
  control: { seconds: 90, run: control },
  autotune: { seconds: 420, run: autotune },
};

/** What is there: the GPU and its driver, libraries, versions, room. Fails where the device that is asked for is not. */
async function machine({ settings, record }) {
  const gpu = shell("nvidia-smi", ["--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]);
  const python = shell(settings.python, ["-c", ABOUT_PYTHON]);
  const libraries = (process.env.LD_LIBRARY_PATH ?? "").split(":").filter((folder) => folder && existsSync(folder));
  const files = libraries
    .flatMap((folder) => readdirSync(folder))
    .filter((name) => /^lib(cud|cub|cur|cuf|nvrtc|onnxruntime)/.test(name));
  record({
    gpu: gpu ?? "none",
    cpu: `${cpus()[0]?.model}, ${availableParallelism()} cores`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    kiln: JSON.parse(readFileSync(sibling("../../packages/diffusion/package.json"), "utf8")).version,
    python: python === undefined ? "none" : JSON.parse(python),
    libraries: files.sort(),
  });
  if (settings.device === "cuda" && gpu === undefined) throw new Error("nvidia-smi shows no GPU here");
}

const ABOUT_PYTHON = `
import importlib, json, sys
about = {"python": sys.version.split()[0]}
for name in ("torch", "diffusers", "transformers", "accelerate", "triton"):
    try: about[name] = importlib.import_module(name).__version__
    except Exception as error: about[name] = f"{type(error).__name__}: {error}"
try:
    import torch
    about.update(cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(), sees=torch.cuda.is_available())
except Exception: pass
print(json.dumps(about))`;

function shell(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", timeout: 120_000 });
  return status === 0 ? stdout.trim().split("\n").at(-1) : undefined;
}

/** SDXL base with random weights at full size, unless it is there; its VAE may decode in float16, as the published float16 VAE's may. */
async function makeCheckpoint({ settings: { checkpoint }, record }) {
  if (existsSync(join(checkpoint, "model_index.json"))) return record({ there: true });
  const partial = `${checkpoint}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const started = performance.now();
  execFileSync(process.execPath, [sibling("../make-checkpoint.mjs"), partial], { timeout: 240_000 });
  const config = join(partial, "vae/config.json");
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), force_upcast: false }));
  execFileSync("mv", [partial, checkpoint]);
  record({ seconds: (performance.now() - started) / 1000 });
}

/** Kiln's networks against the reference cases, a process for each kind: a kernel that fails takes its own kind alone. */
async function conformance({ settings, record, open }) {
  const { reference, device, precision, kilnOptions } = settings;
  const failed = [];
  for (const kind of readdirSync(join(reference, "cases"))) {
    if (kind.endsWith(".json")) continue;
    const ran = await attempt(record, { kind }, async () => {
      const worker = open("kiln");
      try {
        const { results } = await worker.ask(
          { do: "conformance", reference, kind, device, precision, options: kilnOptions },
          120,
        );
        for (const { name, outcome, groups, reasons } of results) {
          record({ kind, name, outcome, groups, reasons });
          if (outcome === "failed") failed.push(`${kind}/${name}${reasons.length > 0 ? ` (${reasons[0]})` : ""}`);
        }
        return true;
      } finally {
        await worker.close();
      }
    });
    if (!ran) failed.push(`all of ${kind}`);
  }
  if (failed.length > 0) throw new Error(`${failed.length} cases failed, the first: ${failed[0]}`);
}

/** torch's own error on this device, to stand beside Kiln's. */
async function torchErrors({ settings, record }) {
  const { python, torchDevice, reference, precision, out } = settings;
  const file = join(out, "torch-errors.json");
  const reduced = precision === "bfloat16" ? precision : "float16";
  const args = [sibling("../torch-errors.py"), reduced, reference, file, "--device", torchDevice];
  execFileSync(python, args, { timeout: 180_000, stdio: ["ignore", "ignore", "pipe"] });
  record({ precision: reduced, device: torchDevice, errors: JSON.parse(readFileSync(file, "utf8")) });
}

/** One picture at a time: the engines take turns. */
async function single(bench) {
  await inTurns(
    bench,
    bench.settings.engines,
    bench.settings.steps.map((steps) => ({ batch: 1, steps })),
  );
}

/** Kiln and eager torch over all batches; a compiled network is compiled again for each, so `best` takes that for one. */
async function batches(bench) {
  const engines = bench.settings.engines.filter((engine) => engine === "kiln" || engine === "eager");
  const [steps] = bench.settings.steps;
  await inTurns(
    bench,
    engines,
    bench.settings.batches.map((batch) => ({ batch, steps })),
    { repeats: 2, warmSteps: 2 },
  );
}

/** The compiled engine at Kiln's best batch, beside Kiln. */
async function best(bench) {
  const lines = bench
    .lines("batches")
    .filter(({ engine, seconds, repeat }) => engine === "kiln" && seconds && repeat !== undefined);
  if (lines.length === 0) throw new Error('there are no lines of "batches" yet: run that part first');
  const rate = (size) => size / median(lines.filter(({ batch }) => batch === size).map(({ seconds }) => seconds));
  const [batch] = [...new Set(lines.map((line) => line.batch))].sort((a, b) => rate(b) - rate(a));
  const engines = bench.settings.engines.filter((engine) => engine === "kiln" || engine === "compile");
  await inTurns(bench, engines, [{ batch, steps: bench.settings.steps[0] }], { repeats: 3 });
}

/** Kiln alone, one picture at a time: with a ControlNet beside without. */
async function control(bench) {
  const { settings } = bench;
  const file = settings.tiny
    ? join(settings.reference, "checkpoints/tiny-xl-controlnet-depth")
    : `${settings.checkpoint}-controlnet.safetensors`;
  if (!existsSync(file)) {
    execFileSync(process.execPath, [sibling("../make-controlnet.mjs"), `${file}.partial`], { timeout: 120_000 });
    execFileSync("mv", [`${file}.partial`, file]);
  }
  const alone = { batch: 1, steps: settings.steps[0] };
  await inTurns(bench, ["kiln"], [alone, { ...alone, control: file }]);
}

/** torch.compile at its most thorough, which takes minutes to compile: Kiln beside it, one picture at a time. */
async function autotune(bench) {
  await inTurns(bench, ["kiln", "autotune"], [{ batch: 1, steps: bench.settings.steps[0] }], { warmSeconds: 480, warmSteps: 2 });
}

/**
 * Engines in processes of their own, which stay while they take turns at every case. A case's first picture is not counted: it
 * compiles, captures and tunes. What the device's memory grows by while an engine alone works is that engine's.
 */
async function inTurns(
  { settings, record, open, watch },
  engines,
  cases,
  { repeats = settings.repeats, warmSeconds = 300, warmSteps } = {},
) {
  const { checkpoint, precision, kilnOptions, size, guidance } = settings;
  const workers = new Map();
  const memory = new Map();
  const tell = async (engine, labels, work) => {
    const grows = labels.event !== undefined;
    const before = grows ? await watch.usedMib() : undefined;
    const answer = await attempt(record, { engine, ...labels }, async () => work(workers.get(engine)));
    if (before !== undefined) memory.set(engine, (memory.get(engine) ?? 0) + (await watch.usedMib()) - before);
    if (!answer) {
      await workers.get(engine).close(); // it cannot do this: the others go on
      workers.delete(engine);
    } else record({ engine, ...labels, ...answer, deviceMib: memory.get(engine), ...prefixed(watch.takePeak()) });
  };
  try {
    for (const engine of engines) {
      workers.set(engine, open(engine));
      const rows = 2 * Math.max(...cases.map(({ batch }) => batch));
      await tell(engine, { event: "load" }, (worker) =>
        worker.ask({ do: "load", checkpoint, device: deviceOf(engine, settings), precision, rows, options: kilnOptions }, 180),
      );
    }
    for (const each of cases) {
      const request = { do: "picture", size, guidance, ...each };
      const steps = warmSteps ?? each.steps;
      for (const engine of [...workers.keys()])
        await tell(engine, { event: "first", ...each, steps, size }, (worker) => worker.ask({ ...request, steps }, warmSeconds));
      // Eight pictures at once even themselves out, and take as long as eight.
      for (let repeat = 0; repeat < (each.batch < 8 ? repeats : Math.ceil(repeats / 2)); repeat++)
        for (const engine of [...workers.keys()])
          await tell(engine, { ...each, size, repeat }, (worker) => worker.ask({ ...request, seed: repeat + 2 }, 120));
    }
  } finally {
    await Promise.all([...workers.values()].map((worker) => worker.close()));
  }
}

/** What the same GPU is called on either side. */
const deviceOf = (engine, { device, torchDevice }) => (engine === "kiln" ? device : torchDevice);

const prefixed = (peak) => (peak ? { peak } : {});

async function urgent(bench) {
  const { size, guidance, clients, tiny } = bench.settings;
  const request = { do: "urgent", size, guidance, clients, count: tiny ? 3 : 12, warmSeconds: tiny ? 1 : 6 };
  await alone(bench, request, 2 * clients);
}

async function mixed(bench) {
  const { size, guidance, clients, tiny } = bench.settings;
  const request = { do: "mixed", size, guidance, clients, warmSeconds: tiny ? 1 : 10, seconds: tiny ? 4 : 25 };
  await alone(bench, request, 2 * clients);
}

/** Kiln alone, with rows for all clients at once, and room for a session of every number of pictures that may share a call. */
async function alone({ settings, record, open, watch }, request, rows) {
  const { checkpoint, device, precision } = settings;
  const kilnOptions = { ...(device === "cuda" ? { maxSessions: request.clients + 2 } : {}), ...settings.kilnOptions };
  const worker = open("kiln");
  try {
    await worker.ask({ do: "load", checkpoint, device, precision, rows, options: kilnOptions }, 180);
    watch.takePeak();
    record({
      engine: "kiln",
      clients: request.clients,
      options: kilnOptions,
      size: request.size,
      ...(await worker.ask(request, 180)),
      ...prefixed(watch.takePeak()),
    });
  } finally {
    await worker.close();
  }
}

/** Where Kiln's time goes, by op: launches wait for their kernels, so that the host's clock sees these. */
async function profile({ settings, record, open }) {
  const { checkpoint, device, precision, kilnOptions, size, guidance, out } = settings;
  const folder = join(out, "profiles");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const worker = open("kiln", { CUDA_LAUNCH_BLOCKING: "1" });
  const request = {
    do: "profile",
    checkpoint,
    device,
    precision,
    rows: 2,
    options: kilnOptions,
    folder,
    size,
    guidance,
    batch: 1,
    steps: 4,
  };
  try {
    record({ engine: "kiln", size, batch: 1, ...(await worker.ask(request, 180)) });
  } finally {
    await worker.close();
    const bytes = readdirSync(folder).reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0);
    if (bytes > 8 * MIB) rmSync(folder, { recursive: true, force: true }); // the sums are in the results
  }
}

/** A failure is a line like any other, and the part goes on. */
async function attempt(record, labels, work) {
  try {
    return await work();
  } catch (error) {
    record({ ...labels, error: error.message });
    return undefined;
  }
}
