import type { RunningServer } from "./server.ts";

/** Closes the server at SIGTERM and SIGINT, and resolves when it has closed. A second signal ends the process at once. */
export async function closeOnSignals(server: RunningServer): Promise<void> {
  await new Promise<void>((resolve) => {
    let asked = false;
    const stop = () => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
  await server.close();
}
