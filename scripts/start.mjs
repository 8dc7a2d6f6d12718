/** `npm start`: install and build what changed, then serve. Everything after `--` goes to `kiln serve`. */
import { accessSync, constants } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { build, checkNode, install, root } from "./prepare.mjs";

const DEFAULT_PORT = 7860;
const given = process.argv.slice(2);

checkNode();
checkWritable();
await checkPort();
if (!install() || !build()) process.exit(1);
const { main } = await import(new URL("../packages/cli/dist/index.js", import.meta.url).href);
process.chdir(root);
await main([process.execPath, join(root, "packages/cli/bin/kiln.mjs"), "serve", ...given]);

function checkWritable() {
  try {
    accessSync(root, constants.W_OK);
  } catch {
    console.error(`${root} cannot be written to: run this as the user that owns the folder, or clone Kiln where you may write.`);
    process.exit(1);
  }
}

/** Says at once, and not after a minute of installing, that the port is taken. Where other addresses are asked for, the service says it itself. */
async function checkPort() {
  if (given.includes("--listen") || process.env.KILN_LISTEN !== undefined || process.env.KILN_CONFIG !== undefined) return;
  const option = given.findIndex((argument) => argument === "--port" || argument === "-p");
  const port = option === -1 ? DEFAULT_PORT : Number(given[option + 1]);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return; // said by the command itself
  const taken = await new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (error) => resolve(error.code === "EADDRINUSE"));
    probe.listen({ host: "127.0.0.1", port }, () => probe.close(() => resolve(false)));
  });
  if (!taken) return;
  console.error(
    `Port ${port} is taken by another program (Kiln itself, perhaps): end it, or run "npm start -- --port ${port + 1}".`,
  );
  process.exit(1);
}
