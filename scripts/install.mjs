/** What every script needs of the machine, and the packages that package-lock.json names. Plain Node without dependencies. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

const LEAST_NODE = [20, 19];
/** Says which package-lock.json the packages were installed from. */
const STAMP = join(root, "node_modules/.kiln-installed");

/** A sentence about what this machine lacks, or undefined. */
export function missingOfMachine() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = LEAST_NODE;
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return undefined;
  return `Kiln needs Node ${LEAST_NODE.join(".")} or later and this is ${process.versions.node}: install a newer one from https://nodejs.org.`;
}

/** Runs `npm ci` where there are no packages, or other ones than package-lock.json names. Ends the process where that fails. */
export function installWhatChanged() {
  const lock = join(root, "package-lock.json");
  const wanted = createHash("sha256").update(readFileSync(lock)).digest("hex");
  const installed = existsSync(STAMP) ? readFileSync(STAMP, "utf8") : undefined;
  if (installed === wanted) return;
  console.error("Installing packages (a minute or two, this once) ...");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  // The package fetches libraries for NVIDIA GPUs in its install script; the CPU's are in it already.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
  const result = spawnSync(npm, ["ci", "--no-audit", "--no-fund"], {
    cwd: root,
    env,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
  if (result.status !== 0) {
    console.error(
      'The packages could not be installed: check the network, and that this folder may be written to; then run "npm ci" to see more.',
    );
    process.exit(1);
  }
  writeFileSync(STAMP, wanted);
}
