/**
 * `npm start`: installs and builds what has changed, then starts the service. Plain Node without dependencies, because it
 * is the first thing that runs on a fresh clone.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { buildWhatChanged } from "./build.mjs";
import { installWhatChanged, missingOfMachine, root } from "./install.mjs";

const DEFAULT_PORT = 7860;

const problem = missingOfMachine() ?? unwritable() ?? (await takenPort());
if (problem !== undefined) fail(problem);
installWhatChanged();
buildWhatChanged();

const cli = join(root, "packages/cli/bin/kiln.mjs");
const service = spawn(process.execPath, [cli, "serve", ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
// The terminal sends Ctrl-C to both; other signals come to this process alone. The service says goodbye, this one waits.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => service.kill("SIGTERM"));
service.on("exit", (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : signal === "SIGINT" ? 130 : 1;
});

function unwritable() {
  try {
    accessSync(root, constants.W_OK);
    return undefined;
  } catch {
    return `${root} cannot be written to: run as the user that owns the folder, or clone Kiln where you may write.`;
  }
}

/** The default port, or that of a single plain setting: whatever else is asked, the service says itself. */
async function takenPort() {
  const asked = process.argv.slice(2);
  if (asked.includes("--listen") || process.env.KILN_LISTEN !== undefined) return undefined;
  const at = asked.findIndex((argument) => argument === "--port" || argument === "-p");
  const port = at === -1 ? DEFAULT_PORT : Number(asked[at + 1]);
  const free = await new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (error) => resolve(error.code !== "EADDRINUSE"));
    probe.listen({ host: "127.0.0.1", port }, () => probe.close(() => resolve(true)));
  });
  return free ? undefined : `Port ${port} is taken by another program: end it, or run "npm start -- --port ${port + 1}".`;
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
