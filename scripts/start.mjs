/** `npm start`: install and build what changed, then serve. Everything after `--` goes to `kiln serve`. */
import { join } from "node:path";
import { build, checkNode, install, root } from "./prepare.mjs";

checkNode();
if (!install() || !build()) process.exit(1);
const { main } = await import(new URL("../packages/cli/dist/index.js", import.meta.url).href);
process.chdir(root);
await main([process.execPath, join(root, "packages/cli/bin/kiln.mjs"), "serve", ...process.argv.slice(2)]);
