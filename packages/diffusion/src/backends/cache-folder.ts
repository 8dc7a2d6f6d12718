import { homedir } from "node:os";
import { join } from "node:path";

/** A folder of Kiln's in the user's cache: `XDG_CACHE_HOME`, or `~/.cache`. */
export function cacheFolder(name: string, environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "kiln", name);
}
