/** Builds the packages and the page where their sources are newer than what was built. Plain Node without dependencies. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./install.mjs";

const PACKAGES = ["diffusion", "server", "cli"];
/** Touched when a build has succeeded. */
const stampOf = (name) => join(root, "node_modules", `.kiln-built-${name}`);

/** Ends the process where something cannot be built. */
export function buildWhatChanged() {
  if (PACKAGES.some((name) => isStale(name, ["src", "tsconfig.json", "package.json"]))) {
    console.error("Building ...");
    run(["node_modules/typescript/bin/tsc", "-b"], root);
    for (const name of PACKAGES) writeFileSync(stampOf(name), "");
  }
  if (isStale("web", ["src", "public", "index.html", "vite.config.ts", "package.json"])) {
    console.error("Building the page ...");
    run([join(root, "node_modules/vite/bin/vite.js"), "build", "--logLevel", "warn"], join(root, "packages/web"));
    writeFileSync(stampOf("web"), "");
  }
}

function isStale(name, sources) {
  const folder = join(root, "packages", name);
  const stamp = stampOf(name);
  if (!existsSync(stamp) || !existsSync(join(folder, "dist"))) return true;
  const built = statSync(stamp).mtimeMs;
  return sources.some((source) => newest(join(folder, source)) > built);
}

/** When a file, or whatever lies in a folder, was changed last; a deleted file changes its folder. */
function newest(path) {
  if (!existsSync(path)) return 0;
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), stats.mtimeMs);
}

function run(parameters, cwd) {
  const result = spawnSync(process.execPath, parameters, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status === 0) return;
  console.error("The sources could not be built; what stands above says why.");
  process.exit(1);
}
