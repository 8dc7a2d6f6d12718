#!/usr/bin/env node
/**
 * Packs what a machine with a GPU but without network, npm and Node needs to measure Kiln, in pieces of a limited size:
 *
 *   npm run build && node bench/gpu/pack.mjs OUT [--piece-mib 60] [--load-mib 60] [--only kiln,...] [--architecture 90|all]
 *        [--node FILE] [--wheel FILE]... [--with-cuda] [--wheels diffusers,...]
 *        [--reference FOLDER] [--checkpoints tiny-xl,...]
 *
 * Components, each a tar.xz of its own: node (the binary), kiln (build, production dependencies, this folder), onnxruntime-cuda
 * (the GPU wheel's libraries, with device code for one architecture), reference (float16 conformance), python (wheels for
 * diffusers; torch is taken as installed there) and, with --with-cuda, cuda (CUDA 13 and cuDNN 9 for machines without them).
 * A component whose content has not changed is not compressed again, so packing once more after a change of code takes seconds.
 * Wheels are fetched by pip, once, into OUT/downloads; --wheel names ones that are here. Unpack with unpack.sh, which lies beside the pieces.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { chmod, copyFile, link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CUDA_WHEELS, ONNXRUNTIME_WHEEL } from "../../packages/diffusion/dist/backends/cuda/release.js";
import { fetchWheel, unpackLibraries } from "../../packages/diffusion/dist/backends/install/library-wheel.js";
import { gatherKiln, gatherReference } from "./contents.mjs";
import { keepDeviceCode } from "./device-code.mjs";
import { cut, dropPieces, loadsOf, MANIFEST, readManifest, writeManifest } from "./pieces.mjs";

const MIB = 2 ** 20;
const PROJECT_REFERENCES = ["../../../shared/reference", "../../packages/diffusion/fixtures/reference"];
/** diffusers and what it and transformers import; used where the machine's Python lacks them. */
const WHEELS = [
  "diffusers==0.42.1",
  "importlib_metadata==10.2.0",
  "zipp==4.1.2",
  "transformers==5.23.0",
  "tokenizers==0.23.3",
  "huggingface_hub==2.4.0",
  "safetensors==0.8.0",
  "accelerate==1.15.0",
];
const PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "piece-mib": { type: "string", default: "60" },
    "load-mib": { type: "string", default: "60" },
    only: { type: "string" },
    architecture: { type: "string", default: "90" },
    node: { type: "string", default: process.execPath },
    wheel: { type: "string", multiple: true },
    "with-cuda": { type: "boolean", default: false },
    reference: { type: "string" },
    checkpoints: { type: "string", default: "tiny-xl,tiny-sd15,tiny-taesd" },
    wheels: { type: "string" },
    "python-version": { type: "string", default: "3.12" },
    level: { type: "string", default: "6" },
    help: { type: "boolean", default: false },
  },
});
const [out] = positionals;
if (!out || options.help) {
  console.error("usage: node bench/gpu/pack.mjs OUT [options]   (see the top of the file)");
  process.exit(options.help ? 0 : 2);
}
const folder = resolve(out);
const downloads = join(folder, "downloads");
await mkdir(downloads, { recursive: true });

const COMPONENTS = {
  "onnxruntime-cuda": (stage) => packLibraries(stage, [ONNXRUNTIME_WHEEL]),
  node: async (stage) => {
    await mkdir(join(stage, "bin"), { recursive: true });
    await copyFile(options.node, join(stage, "bin/node"));
    await chmod(join(stage, "bin/node"), 0o755);
  },
  kiln: gatherKiln,
  reference: async (stage) =>
    gatherReference(stage, {
      reference: options.reference ?? firstThere(PROJECT_REFERENCES),
      checkpoints: options.checkpoints.split(","),
    }),
  python: async (stage) => {
    const chosen = WHEELS.filter((wheel) => !options.wheels || options.wheels.split(",").includes(wheel.split("==")[0]));
    const from = await fetchWheels("python", chosen);
    for (const file of await wheelsIn(from)) await copyFile(file, join(stage, basename(file)));
  },
  ...(options["with-cuda"] ? { cuda: (stage) => packLibraries(stage, CUDA_WHEELS) } : {}),
};

const wanted = options.only?.split(",") ?? Object.keys(COMPONENTS);
const manifest = await readManifest(folder);
for (const name of wanted) {
  if (!COMPONENTS[name]) throw new Error(`"${name}" is no component; there are ${Object.keys(COMPONENTS).join(", ")}.`);
  manifest.set(name, await pack(name, COMPONENTS[name], manifest.get(name)));
}
for (const name of manifest.keys()) {
  if (COMPONENTS[name] || options.only) continue;
  manifest.delete(name);
  await dropPieces(folder, name);
}
await writeManifest(folder, [...manifest.values()]);
await copyFile(new URL("./unpack.sh", import.meta.url), join(folder, "unpack.sh"));
await layOut();

/** Stages, archives and cuts one component; what is known is kept where the content is the same. */
async function pack(name, gather, known) {
  const scratch = await mkdtemp(join(tmpdir(), "kiln-pack-"));
  try {
    const stage = join(scratch, name);
    await mkdir(stage);
    await gather(stage);
    const tar = join(scratch, "component.tar");
    // The same content makes the same archive: sorted, without times and owners.
    const stamps = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    await run("tar", ["-cf", tar, ...stamps, "-C", scratch, name]);
    const content = `${await sha256(tar)} xz-${options.level} ${options["piece-mib"]} MiB`;
    const note = join(folder, `.${name}.content`);
    const same = known && (await readFile(note, "utf8").catch(() => "")) === content;
    if (same && known.pieces.every(({ file }) => existsSync(join(folder, file)))) return known;
    await run("xz", [`-${options.level}`, "-T0", tar]);
    const component = await cut(`${tar}.xz`, { name, folder, pieceBytes: Math.floor(Number(options["piece-mib"]) * MIB) });
    await writeFile(note, content);
    return component;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Checked libraries of published wheels, with device code for one architecture. */
async function packLibraries(stage, wheels) {
  for (const wheel of wheels) {
    await unpackLibraries(await fileOf(wheel), wheel, stage);
    for (const name of options.architecture === "all" ? [] : wheel.libraries.keys()) {
      const bytes = await readFile(join(stage, name));
      const { before, after } = keepDeviceCode(bytes, Number(options.architecture));
      if (before === after) continue;
      await writeFile(join(stage, name), bytes);
      console.log(`${name}: device code ${mib(before)} -> ${mib(after)}`);
    }
  }
}

/** A wheel's file: one that was named, one that was fetched before, or one fetched now. */
async function fileOf(wheel) {
  const named = `${wheel.package.replaceAll("-", "_")}-${wheel.version}-`;
  const given = options.wheel?.find((path) => basename(path).startsWith(named));
  const known = (await readdir(downloads, { recursive: true })).find((path) => basename(path).startsWith(named));
  return given ?? (known ? join(downloads, known) : await fetchWheel(wheel, downloads, console.log));
}

/** The folder of wheels that pip fetched; it is not asked again for what is there. */
async function fetchWheels(name, requirements) {
  const to = join(downloads, name);
  const note = join(to, "requirements.txt");
  if ((await readFile(note, "utf8").catch(() => "")) === requirements.join("\n")) return to;
  await rm(to, { recursive: true, force: true });
  await mkdir(to, { recursive: true });
  console.log(`Fetching ${requirements.join(", ")} with pip`);
  const platforms = PLATFORMS.flatMap((platform) => ["--platform", platform]);
  const version = ["--python-version", options["python-version"], "--implementation", "cp"];
  const target = ["--no-deps", "--only-binary=:all:", "--quiet", "--dest", to];
  await run("python3", ["-m", "pip", "download", ...target, ...version, ...platforms, ...requirements]);
  await writeFile(note, requirements.join("\n"));
  return to;
}

async function wheelsIn(path) {
  return (await readdir(path)).filter((name) => name.endsWith(".whl")).map((name) => join(path, name));
}

function firstThere(paths) {
  const found = paths.map((path) => fileURLToPath(new URL(path, import.meta.url))).find((path) => existsSync(path));
  if (!found) throw new Error("There is no reference: name its folder with --reference.");
  return found;
}

async function sha256(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

async function run(command, args) {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("exit", resolve));
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
}

function mib(bytes) {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

/** Says what there is, and lays pieces that go together into OUT/loads/1, ... as links, each with the manifest and unpack.sh. */
async function layOut() {
  const components = [...manifest.values()];
  for (const { name, bytes, pieces } of components)
    console.log(`${name.padEnd(18)} ${mib(bytes).padStart(10)}  ${pieces.length} pieces`);
  console.log(
    `${mib(components.reduce((sum, { bytes }) => sum + bytes, 0))} in all, in loads of at most ${options["load-mib"]} MiB:`,
  );
  await rm(join(folder, "loads"), { recursive: true, force: true });
  for (const [index, { files, bytes }] of loadsOf(components, Number(options["load-mib"]) * MIB).entries()) {
    const load = join(folder, "loads", String(index + 1));
    await mkdir(load, { recursive: true });
    for (const file of [...files, MANIFEST, "unpack.sh"]) await link(join(folder, file), join(load, file));
    console.log(`  ${load}: ${mib(bytes)}: ${files.join(" ")}`);
  }
}
