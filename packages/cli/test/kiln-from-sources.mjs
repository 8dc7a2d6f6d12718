// The `kiln` command from its sources: what bin/kiln.mjs is after a build.
import { main } from "../src/index.ts";

await main(process.argv);
