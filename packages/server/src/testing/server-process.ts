import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A server in a process of its own. */
export interface ServerProcess {
  url: string;
  pid: number;
  /** The engine's process at the start; it may have been replaced since. */
  enginePid: number | undefined;
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  terminate(): Promise<number | null>;
}

/** Starts a server with these settings and none of the test's own environment: from the sources, unless this file is built. */
export async function startServerProcess(settings: Record<string, string>): Promise<ServerProcess> {
  const fromSources = import.meta.url.endsWith(".ts");
  const loader = new URL("./run-sources.mjs", import.meta.url).href;
  const child: ChildProcess = fork(fileURLToPath(new URL(fromSources ? "./serve.ts" : "./serve.js", import.meta.url)), [], {
    execArgv: fromSources ? ["--conditions=kiln-source", "--import", loader] : [],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      KILN_LISTEN: "127.0.0.1:0=native",
      KILN_ENGINE: "test",
      LOG_LEVEL: process.env.KILN_TEST_LOG ?? "error",
      ...settings,
    },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const started = await new Promise<{ url: string; engine?: number }>((resolve, reject) => {
    child.once("message", (message) => resolve(message as { url: string; engine?: number }));
    child.once("exit", (code) => reject(new Error(`the server ended at its start with ${code}`)));
  });
  return {
    url: started.url,
    pid: child.pid ?? 0,
    enginePid: started.engine,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    async terminate() {
      child.kill("SIGTERM");
      return await ended;
    },
  };
}
