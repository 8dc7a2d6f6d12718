/** What `kiln serve` needs before anything else is loaded; the package's index loads all of it. */
export { closeOnSignals } from "./close-on-signals.ts";
export { type RunningServer, startServer } from "./server.ts";
export { loadSettings } from "./settings/load.ts";
export type { Settings } from "./settings/schema.ts";
