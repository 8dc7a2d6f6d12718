/** Builds the diffusion library and holds it against the reference cases: see packages/diffusion/src/conformance. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const main = new URL("../packages/diffusion/dist/conformance/main.js", import.meta.url);

// A fresh clone has nothing built; a rebuild of what is up to date takes a moment.
const build = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-b", "packages/diffusion"], {
  cwd: root,
  stdio: ["ignore", "inherit", "inherit"],
});
if (build.status !== 0 || !existsSync(main)) {
  console.error("The library could not be built: run npm install, then npm run check.");
  process.exit(2);
}

const { main: run } = await import(main.href);
process.exitCode = await run(process.argv.slice(2), (text) => process.stdout.write(text));
