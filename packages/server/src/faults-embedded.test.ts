import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { JobView } from "./jobs/job-view.ts";
import { cleanups, expectAllCompleted, folder, QUICK, readAll } from "./testing/faults.ts";
import { submitMany } from "./testing/send-jobs.ts";
import { startServerProcess } from "./testing/server-process.ts";

test("embedded: every acknowledged job survives kill -9 of the whole server", async () => {
  const settings = { ...QUICK, KILN_DATA_DIR: folder() };
  const acknowledged = new Set<string>();
  let server = await startServerProcess(settings);
  const sending = submitMany(() => server.url, 30, acknowledged);
  await sleep(150 + Math.random() * 300);
  await server.kill();
  await sending;
  server = await startServerProcess(settings);
  cleanups.push(() => server.kill());
  await submitMany(() => server.url, 10, acknowledged);
  expect(acknowledged.size).toBeGreaterThan(9);
  await expectAllCompleted(server.url, acknowledged);
});

test("embedded: kill -9 of the engine costs a wait and nothing else", async () => {
  const server = await startServerProcess({ ...QUICK, KILN_DATA_DIR: folder() });
  cleanups.push(() => server.kill());
  const acknowledged = new Set<string>();
  const sending = submitMany(() => server.url, 30, acknowledged);
  await sleep(200);
  process.kill(server.enginePid ?? 0, "SIGKILL");
  await sending;
  expect(acknowledged.size).toBe(30);
  await expectAllCompleted(server.url, acknowledged);
});

test("SIGTERM hands running jobs back, and the next start finishes them", async () => {
  const settings = { ...QUICK, KILN_DATA_DIR: folder(), KILN_TEST_ENGINE_STEP_MS: "400" };
  const acknowledged = new Set<string>();
  const first = await startServerProcess(settings);
  await submitMany(() => first.url, 8, acknowledged);
  await sleep(300);
  expect(await first.terminate()).toBe(0);
  const second = await startServerProcess({ ...settings, KILN_TEST_ENGINE_STEP_MS: "5" });
  cleanups.push(() => second.kill());
  await expectAllCompleted(second.url, acknowledged);
  for (const job of await readAll(second.url, acknowledged)) expect(job.attempts).toBe(1);
});

test("a webhook that was pending when the process died is told after the restart", async () => {
  const told: string[] = [];
  let open = false;
  let refused = 0;
  const receiver = createServer((request, response) => {
    request.resume();
    if (open) told.push(String(request.url));
    else refused++;
    response.writeHead(open ? 204 : 503).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => receiver.close());
  const { port } = receiver.address() as AddressInfo;
  const settings = { ...QUICK, KILN_DATA_DIR: folder(), KILN_WEBHOOK_PRIVATE: "true" };
  const first = await startServerProcess(settings);
  const webhook = { url: `http://127.0.0.1:${port}/ended` };
  const response = await fetch(`${first.url}/v1/jobs`, {
    method: "POST",
    body: JSON.stringify({ prompt: "x", steps: 1, width: 64, height: 64, webhook }),
    headers: { "content-type": "application/json" },
  });
  const { id } = (await response.json()) as JobView;
  await expectAllCompleted(first.url, new Set([id]));
  while (refused === 0) await sleep(50);
  await sleep(300); // the refusal is recorded
  await first.kill();
  open = true;
  const second = await startServerProcess(settings);
  cleanups.push(() => second.kill());
  while (told.length === 0) await sleep(50);
  await sleep(1500); // longer than the outbox's next look
  expect(told).toEqual(["/ended"]);
});
