import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase } from "../records/database.ts";
import { type StartedServer, startPostgres } from "../testing/servers.ts";
import { Keys } from "./keys.ts";

/** A look at the keys and a change of them overlap only where there are several connections. */
let postgres: StartedServer | undefined;
let database: Database | undefined;
beforeAll(async () => {
  postgres = await startPostgres();
  if (postgres) database = await openDatabase({ url: postgres.url, dataDir: "" });
});
afterAll(async () => {
  await database?.close();
  await postgres?.stop();
});

test("a look at the keys that began before a change does not hide it", async ({ skip }) => {
  if (!database) return skip("PostgreSQL is not installed here");
  const { records } = database;
  let isHeld: (() => void) | undefined;
  let release = () => {};
  const holding = records.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      if (isHeld === undefined) return result;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      isHeld();
      isHeld = undefined;
      await released;
      return result;
    },
  });
  const keys = new Keys(holding, undefined);
  const count = async () => (await records.selectFrom("keys").select("id").where("revoked_at", "is", null).execute()).length;
  /** Changes the keys while the result of a look that began before is on its way. */
  async function changeMeanwhile<T>(change: () => Promise<T>, after: number): Promise<T> {
    const held = new Promise<void>((resolve) => {
      isHeld = resolve;
    });
    const look = keys.list();
    await held;
    const changed = change();
    while ((await count()) !== after) await sleep(5);
    release();
    await look;
    return await changed;
  }

  const { key, view } = await changeMeanwhile(async () => await keys.create({ name: "new" }), 1);
  expect(await keys.verify(key)).toMatchObject({ owner: view.id });
  await changeMeanwhile(async () => await keys.revoke(view.id), 0);
  expect(await keys.verify(key)).toBeUndefined();
});
