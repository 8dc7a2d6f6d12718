import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import type { JobView } from "../jobs/job-view.ts";
import { cleanups, folder } from "../testing/faults.ts";
import { startServerProcess } from "../testing/server-process.ts";
import { EngineSupervisor } from "./supervisor.ts";

const node = process.execPath;
afterEach(() => {
  process.execPath = node;
});

test("an engine that the system does not start is tried again", async () => {
  const deaths: object[] = [];
  const supervisor = new EngineSupervisor({
    engine: {
      implementation: "test",
      device: "auto",
      backend: "auto",
      precision: "auto",
      slots: 1,
      memoryBudget: undefined,
      stepMilliseconds: 1,
      tracesTo: undefined,
    },
    hangSeconds: 60,
    onLog(level, _message, details) {
      if (level !== "warn") return;
      deaths.push(details ?? {});
      process.execPath = node;
    },
  });
  cleanups.push(() => supervisor.stop());
  process.execPath = `${node}-is-not-here`;
  expect(await supervisor.start()).toMatchObject({ backend: "test" });
  expect(deaths).toMatchObject([{ cause: "it did not start" }]);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("an engine that hangs ends with its server", async () => {
  const server = await startServerProcess({ KILN_DATA_DIR: folder() });
  const engine = server.enginePid ?? 0;
  cleanups.push(() => server.kill());
  cleanups.push(() => isAlive(engine) && process.kill(engine, "SIGKILL"));
  const response = await fetch(`${server.url}/v1/jobs`, {
    method: "POST",
    body: JSON.stringify({ prompt: "[hang]" }),
    headers: { "content-type": "application/json" },
  });
  const { id } = (await response.json()) as JobView;
  const status = async () => ((await (await fetch(`${server.url}/v1/jobs/${id}`)).json()) as JobView).status;
  while ((await status()) !== "running") await sleep(20);
  await sleep(500); // by now it hangs, as good as certainly
  await server.kill();
  while (isAlive(engine)) await sleep(50);
});
