/** What goes into each component of the pack: files of this repository and of its dependencies, gathered into a staging folder. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Files of a dependency that run, by their endings; sources, types, maps and documents stay behind. */
const RUNS = /\.(js|cjs|mjs|json|node|wasm|bin|data)$|\.so(\.\d+)*$/;

/** Folders of dependencies that hold what another platform runs, or nothing that runs. */
const NOT_NEEDED = /\/(musl_x64|linux\/arm64|darwin|win32|doc|docs|test|tests|types)(\/|$)/;

/** Packages that are for another platform by their name; npm leaves most of them out, but not on every machine. */
const OTHER_PACKAGES = /(linuxmusl|darwin|win32|freebsd|openbsd|android|arm|ia32|riscv|loong|ppc64|s390x|wasm32)/;

/** Kinds of cases that a network answers. */
const NETWORK_KINDS = ["controlnet", "text_encoder", "unet", "vae", "vae_tiny"];

/** What benches read beside their own folder. */
const BENCH_FILES = [
  "make-checkpoint.mjs",
  "make-controlnet.mjs",
  "random-weights.mjs",
  "sdxl-configs.mjs",
  "manifests",
  "torch-errors.py",
  "gpu",
];

/** Kiln's build and the production dependencies of the library, laid out as in the repository. */
export async function gatherKiln(stage) {
  const library = "packages/diffusion";
  if (!existsSync(join(ROOT, library, "dist/index.js"))) throw new Error("Kiln is not built: run npm run build first.");
  for (const part of ["package.json", "dist", "assets"]) await copyInto(stage, join(library, part), runsHere);
  for (const name of await readdir(join(ROOT, library, "fixtures")))
    if (name.endsWith(".json")) await copyInto(stage, join(library, "fixtures", name));
  for (const part of BENCH_FILES) await copyInto(stage, join("bench", part), (path) => !path.endsWith(".test.mjs"));
  await copyInto(stage, "package.json");
  for (const folder of await productionDependencies(join(ROOT, library))) await copyInto(stage, folder, runsHere);
  await mkdir(join(stage, "node_modules/@kiln"), { recursive: true });
  await symlink("../../packages/diffusion", join(stage, "node_modules/@kiln/diffusion"));
  await tryIt(join(stage, library));
}

/** Loads the library and everything that it depends on out of the staging folder: what was left out by mistake is missed here. */
async function tryIt(library) {
  const { dependencies } = JSON.parse(await readFile(join(library, "package.json"), "utf8"));
  const modules = [...Object.keys(dependencies), "./dist/index.js", "./dist/conformance/main.js", "../../bench/gpu/parts.mjs"];
  const script = modules.map((name) => `await import(${JSON.stringify(name)});`).join("\n");
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: library,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`what was gathered does not load: ${stderr}`);
}

/** The folders, relative to the repository, of everything that a package needs to run, found as Node finds it. */
async function productionDependencies(packageFolder) {
  const found = new Set();
  const visit = async (folder) => {
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const at = resolvePackage(name, folder);
      if (at === undefined) {
        if (name in optionalDependencies) continue;
        throw new Error(`${name}, which ${relative(ROOT, folder)} needs, is not installed: run npm install.`);
      }
      if (found.has(at) || (name in optionalDependencies && OTHER_PACKAGES.test(name))) continue;
      found.add(at);
      await visit(at);
    }
  };
  await visit(packageFolder);
  return [...found].map((folder) => relative(ROOT, folder)).sort();
}

function resolvePackage(name, from) {
  for (let folder = from; folder.startsWith(dirname(ROOT)) && folder !== dirname(folder); folder = dirname(folder)) {
    const at = join(folder, "node_modules", name);
    if (existsSync(join(at, "package.json"))) return at;
  }
  return undefined;
}

function runsHere(path, isFolder) {
  const place = path.slice(path.lastIndexOf("node_modules"));
  const inDependency = path.includes("node_modules/");
  if (inDependency && NOT_NEEDED.test(`/${place.split("/").slice(2).join("/")}`) && !place.includes("/dist/")) return false;
  return isFolder || RUNS.test(basename(path)) || (!inDependency && !/\.(map|d\.ts|tsbuildinfo)$/.test(path));
}

/** Copies a file or folder of the repository to the same place under the stage; links become what they point to. */
async function copyInto(stage, path, keep = () => true) {
  const to = join(stage, path);
  await mkdir(dirname(to), { recursive: true });
  await cp(join(ROOT, path), to, {
    recursive: true,
    dereference: true,
    filter: async (from) => {
      const folder = (await stat(from)).isDirectory();
      return !(folder && basename(from) === "__pycache__") && keep(relative(ROOT, from), folder);
    },
  });
}

/**
 * The parts of a reference folder that networks in float16 are held against: the cases of some checkpoints, and these.
 * @param checkpoints names; a case of another one stays behind.
 */
export async function gatherReference(stage, { reference, checkpoints }) {
  const needed = new Set();
  for (const kind of NETWORK_KINDS) {
    for (const file of await readdir(join(reference, "cases", kind))) {
      if (!file.endsWith(".safetensors")) continue;
      const path = join(reference, "cases", kind, file);
      const [checkpoint, ...controlNets] = checkpointsOf(await readFile(path));
      if (!checkpoints.includes(checkpoint)) continue;
      for (const name of [checkpoint, ...controlNets]) needed.add(name);
      await cp(path, join(stage, "cases", kind, file), { dereference: true });
    }
  }
  for (const name of needed) await copyCheckpoint(join(reference, "checkpoints"), name, join(stage, "checkpoints"));
}

/** One form of it: the folder where that holds weights, else the single file beside a folder of configs. */
async function copyCheckpoint(from, name, to) {
  const weights = await readdir(join(from, name), { recursive: true }).catch(() => []);
  const whole = weights.some((file) => file.endsWith(".safetensors"));
  for (const form of whole ? [name] : [name, `${name}.safetensors`]) {
    if (existsSync(join(from, form))) await cp(join(from, form), join(to, form), { recursive: true, dereference: true });
  }
}

/** The checkpoints and ControlNets that a case's header names. */
function checkpointsOf(bytes) {
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + Number(bytes.readBigUInt64LE(0))));
  const { checkpoint, controlnets = [] } = JSON.parse(header.__metadata__.case);
  return [checkpoint, ...controlnets].filter((name) => typeof name === "string");
}
