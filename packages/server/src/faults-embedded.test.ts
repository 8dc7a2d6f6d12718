import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { cleanups, expectAllCompleted, folder, QUICK, readAll, submitMany } from "./testing/faults.ts";
import { startServerProcess } from "./testing/server-process.ts";

test("embedded: every acknowledged job survives kill -9 of the whole server", async () => {
  const settings = { ...QUICK, KILN_DATA_DIR: folder() };
  const acknowledged = new Set<string>();
  let server = await startServerProcess(settings);
  for (let round = 0; round < 1; round++) {
    const sending = submitMany(() => server.url, 30, acknowledged);
    await sleep(150 + Math.random() * 300);
    await server.kill();
    await sending;
    server = await startServerProcess(settings);
  }
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
