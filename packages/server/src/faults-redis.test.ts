import { setTimeout as sleep } from "node:timers/promises";
import { test } from "vitest";
import { cleanups, expectAllCompleted, folder, KILLING_MILLISECONDS, QUICK } from "./testing/faults.ts";
import { submitMany } from "./testing/send-jobs.ts";
import { startServerProcess } from "./testing/server-process.ts";
import { startPostgres, startRedis } from "./testing/servers.ts";

test("kill -9 of a worker, of the gateway and of the queue's server loses nothing", { timeout: KILLING_MILLISECONDS }, async ({
  skip,
}) => {
  const postgres = await startPostgres();
  const redis = await startRedis();
  if (!postgres || !redis) return skip("PostgreSQL or Redis is not installed here");
  cleanups.push(() => postgres.stop());
  cleanups.push(() => redis.stop());
  const settings = { ...QUICK, KILN_DATA_DIR: folder(), DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  const start = (role: string) => startServerProcess({ ...settings, KILN_ROLE: role });
  let [gateway, doomed] = await Promise.all([start("gateway"), start("worker")]);
  const survivor = await start("worker");
  cleanups.push(
    () => gateway.kill(),
    () => survivor.kill(),
  );
  const acknowledged = new Set<string>();
  const sending = submitMany(() => gateway.url, 60, acknowledged);
  await sleep(300);
  await doomed.kill();
  await gateway.kill();
  gateway = await start("gateway");
  const server = redis;
  server.kill();
  await server.restart();
  doomed = await start("worker");
  cleanups.push(() => doomed.kill());
  await sending;
  await submitMany(() => gateway.url, 10, acknowledged);
  await expectAllCompleted(gateway.url, acknowledged);
});
