import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));
const ENTRY = fileURLToPath(new URL("./kiln-from-sources.mjs", import.meta.url));
/** Lets `node` run the sources, so that a test never runs against a stale build. */
export const FROM_SOURCES = ["--conditions=kiln-source", "--import", join(root, "packages/server/src/testing/run-sources.mjs")];

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard error holds this; rejects where the process ends before. */
  heard(what: RegExp): Promise<void>;
}

/** Starts `kiln` with these arguments in a process of its own. */
export function startKiln(parameters: readonly string[], folder: string, environment: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [...FROM_SOURCES, ENTRY, ...parameters], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
  const heard = (what: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (what.test(err)) resolve();
      };
      look();
      child.stderr.on("data", look);
      child.on("close", () => reject(new Error(`kiln ended before it said ${what}: ${err}`)));
    });
  return { child, ended, heard };
}

export function kiln(parameters: readonly string[], folder: string, environment?: NodeJS.ProcessEnv): Promise<Ended> {
  return startKiln(parameters, folder, environment).ended;
}
