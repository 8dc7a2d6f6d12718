/** What `npm start` and `npm test` share: install and build, each only where something changed. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The oldest Node that every dependency runs on. */
const OLDEST_NODE = [20, 19];

/** Runs a command in the project's root with its output shown. @returns its exit code */
export function run(command, args, { quiet = false } = {}) {
  const shown = quiet ? "ignore" : "inherit";
  // onnxruntime-node's install script fetches GPU libraries that Kiln does not use.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: shown, env, shell: process.platform === "win32" });
  if (error) console.error(`${command} cannot be run: ${error.message}`);
  return status ?? 1;
}

/** Ends the process with a sentence where this Node is too old. */
export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  console.error(
    `Kiln needs Node ${OLDEST_NODE.join(".")} or newer, and this is ${process.versions.node}. Install a newer one from nodejs.org or your system's packages, and run this again.`,
  );
  process.exit(1);
}

/** Installs what package-lock.json names, unless it was installed from this very file. @returns whether all is well */
export function install() {
  const lock = readFileSync(join(root, "package-lock.json"), "utf8");
  const stamp = join(root, "node_modules", ".kiln-installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return true;
  const fresh = !existsSync(join(root, "node_modules"));
  console.log(fresh ? "Installing (once; a few hundred MB from npm) ..." : "Installing what changed ...");
  // npm ci begins anew and refuses where a mirror lacks packages of other platforms; npm install keeps what is there and goes on.
  const options = ["--no-audit", "--no-fund", "--loglevel=error"];
  const clean = fresh && run("npm", ["ci", ...options], { quiet: true }) === 0;
  if (!clean && run("npm", ["install", ...options]) !== 0) {
    console.error(
      "npm could not install the packages: see its message above. Without network, bring node_modules from a machine of the same kind.",
    );
    return false;
  }
  writeFileSync(stamp, readFileSync(join(root, "package-lock.json")));
  return true;
}

/** Builds the packages and the page where their sources are newer than the last build. @returns whether all is well */
export function build() {
  const stamp = join(root, "node_modules", ".kiln-built");
  // When the last build began: what was saved while it ran is built again.
  const built = existsSync(stamp) ? Number(readFileSync(stamp, "utf8")) : 0;
  const packages = join(root, "packages");
  const output = existsSync(join(packages, "cli", "dist", "index.js")) && existsSync(join(packages, "web", "dist", "index.html"));
  if (output && newest(packages) < built) return true;
  const started = Date.now();
  console.log("Building ...");
  const steps = [
    ["npx", ["--no-install", "tsc", "-b"]],
    ["npm", ["run", "build", "--silent", "-w", "packages/web"]],
  ];
  for (const [command, args] of steps) if (run(command, args) !== 0) return false;
  writeFileSync(stamp, `${started}`);
  return true;
}

const NOT_SOURCES = new Set(["node_modules", "dist", "fixtures", "test"]);

/** When anything below a folder changed last, in milliseconds. */
function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (NOT_SOURCES.has(entry.name)) continue;
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return latest;
}
