import { Worker } from "node:worker_threads";

/** How long a hanging engine may outlive its server. */
const LOOK_MILLISECONDS = 1000;

/** In a thread of its own, and as a text, so that nothing is loaded for it. */
const WATCH = `
  const server = process.ppid;
  setInterval(() => {
    if (process.ppid !== server) process.kill(process.pid, "SIGKILL");
  }, ${LOOK_MILLISECONDS});
`;

/** Ends this process when its server is gone. An engine that hangs does not hear that the channel has closed, and would hold its device for ever. */
export function endWithServer(): void {
  new Worker(WATCH, { eval: true, execArgv: [] }).unref();
}
