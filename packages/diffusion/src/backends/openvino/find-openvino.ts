import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../cache-folder.ts";
import { LIBRARY_FILE } from "./library.ts";
import { OPENVINO_VERSION } from "./release.ts";

/** Names a folder of OpenVINO's libraries in place of the installed one. */
const OPENVINO_FOLDER_VARIABLE = "KILN_OPENVINO";

/** Where add-ons are kept: `KILN_ACCEL_DIR`, or the user's cache. */
export function acceleratorFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.KILN_ACCEL_DIR ?? cacheFolder("accel", environment);
}

/** Where `installOpenVino` puts its libraries. */
export function openVinoFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(acceleratorFolder(environment), `openvino-${OPENVINO_VERSION}`);
}

/** The folder of OpenVINO's libraries, where they are installed on this machine. */
export function findOpenVino(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const folder = environment[OPENVINO_FOLDER_VARIABLE] ?? openVinoFolder(environment);
  return existsSync(join(folder, LIBRARY_FILE)) ? folder : undefined;
}
