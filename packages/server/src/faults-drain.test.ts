import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { JobView } from "./jobs/job-view.ts";
import { cleanups, folder, KILLING_MILLISECONDS, QUICK, readAll } from "./testing/faults.ts";
import { startServerProcess } from "./testing/server-process.ts";
import { startPostgres, startRedis } from "./testing/servers.ts";

test("SIGTERM ends the process although its queue and its records are away", { timeout: KILLING_MILLISECONDS }, async ({
  skip,
}) => {
  const postgres = await startPostgres();
  const redis = await startRedis();
  if (!postgres || !redis) return skip("PostgreSQL or Redis is not installed here");
  cleanups.push(
    () => postgres.stop(),
    () => redis.stop(),
  );
  const data = { KILN_DATA_DIR: folder(), DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  const settings = { ...QUICK, ...data, KILN_TEST_ENGINE_STEP_MS: "1000" };
  const server = await startServerProcess(settings);
  cleanups.push(() => server.kill());
  const ids: string[] = [];
  for (let index = 0; index < 12; index++) {
    const answer = await fetch(`${server.url}/v1/jobs`, {
      method: "POST",
      body: JSON.stringify({ prompt: "x", width: 64, height: 64, steps: 100 }),
      headers: { "content-type": "application/json" },
    });
    ids.push(((await answer.json()) as JobView).id);
  }
  while (!(await readAll(server.url, ids)).some(({ status }) => status === "running")) await sleep(20);
  for (const away of [postgres, redis]) away.kill();
  await sleep(200);
  expect(await server.terminate()).toBe(0);
  // What was acknowledged is still there for the next process.
  for (const away of [postgres, redis]) await away.restart();
  const next = await startServerProcess(settings);
  cleanups.push(() => next.kill());
  expect((await readAll(next.url, ids)).every(({ status }) => status === "queued" || status === "running")).toBe(true);
});
