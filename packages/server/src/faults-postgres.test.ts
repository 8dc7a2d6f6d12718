import { setTimeout as sleep } from "node:timers/promises";
import { test } from "vitest";
import { cleanups, expectAllCompleted, folder, KILLING_MILLISECONDS, QUICK } from "./testing/faults.ts";
import { submitMany } from "./testing/send-jobs.ts";
import { startServerProcess } from "./testing/server-process.ts";
import { startPostgres } from "./testing/servers.ts";

test("kill -9 of a worker, of the gateway and of the queue's server loses nothing", { timeout: KILLING_MILLISECONDS }, async ({
  skip,
}) => {
  const postgres = await startPostgres();

  if (!postgres) return skip("PostgreSQL is not installed here");
  cleanups.push(() => postgres.stop());

  const settings = { ...QUICK, KILN_DATA_DIR: folder(), DATABASE_URL: postgres.url };
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
  const server = postgres;
  server.kill();
  await server.restart();
  doomed = await start("worker");
  cleanups.push(() => doomed.kill());
  await sending;
  await submitMany(() => gateway.url, 10, acknowledged);
  await expectAllCompleted(gateway.url, acknowledged);
});
