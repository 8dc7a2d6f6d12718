import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Starts the engine's process: the built file, or the sources through the loader when this file is a source itself. */
export function launchEngine(): ChildProcess {
  const fromSources = import.meta.url.endsWith(".ts");
  const entry = fileURLToPath(new URL(fromSources ? "./process.ts" : "./process.js", import.meta.url));
  const loader = new URL("../testing/run-sources.mjs", import.meta.url).href;
  return fork(entry, [], {
    execArgv: fromSources ? ["--conditions=kiln-source", "--import", loader] : [],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // Secrets of the service are none of the engine's business.
    env: engineEnvironment(process.env),
  });
}

const NOT_FOR_THE_ENGINE = /^(AWS_|DATABASE_URL|REDIS_URL|HF_TOKEN|CIVITAI_TOKEN|NODE_OPTIONS|VITEST)/;

function engineEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !NOT_FOR_THE_ENGINE.test(name)));
}
