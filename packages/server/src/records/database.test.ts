import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { startPostgres } from "../testing/servers.ts";
import { openDatabase } from "./database.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "kiln-records-"));
  folders.push(path);
  return path;
}

test("the embedded database keeps rows over a restart, and its migrations run once", async () => {
  const dataDir = folder();
  const first = await openDatabase({ dataDir });
  await first.records.insertInto("keys").values({ id: "a", name: "n", hash: "h", role: "user" }).execute();
  await first.close();
  const second = await openDatabase({ dataDir });
  const rows = await second.records.selectFrom("keys").selectAll().execute();
  expect(rows).toHaveLength(1);
  expect(rows[0]?.created_at).toBeInstanceOf(Date);
  await second.close();
});

test("a folder that is in use is refused, and free again after close", async () => {
  const dataDir = folder();
  const first = await openDatabase({ dataDir });
  await expect(openDatabase({ dataDir })).rejects.toThrow(/in use by process/);
  await first.close();
  const second = await openDatabase({ dataDir });
  await second.close();
});

test("a transaction that fails leaves nothing, and others wait for its end", async () => {
  const database = await openDatabase({ dataDir: folder() });
  const key = { name: "n", role: "user" as const };
  const failing = database.records.transaction().execute(async (tx) => {
    await tx
      .insertInto("keys")
      .values({ id: "x", hash: "x", ...key })
      .execute();
    await new Promise((resolve) => setTimeout(resolve, 30));
    throw new Error("no");
  });
  const other = database.records
    .insertInto("keys")
    .values({ id: "y", hash: "y", ...key })
    .execute();
  await expect(failing).rejects.toThrow("no");
  await other;
  expect(await database.records.selectFrom("keys").select("id").execute()).toEqual([{ id: "y" }]);
  await database.close();
});

test("rows that come and go leave no room behind", async () => {
  const database = await openDatabase({ dataDir: folder() });
  const { queuePool } = database;
  const size = async () => {
    const { rows } = await queuePool.query<{ bytes: number }>("SELECT pg_relation_size('kiln.workers')::int AS bytes");
    return rows[0]?.bytes ?? 0;
  };
  const comeAndGo = async () => {
    await queuePool.query("INSERT INTO kiln.workers SELECT g, 'h', 'd', '{}', now() FROM generate_series(1, 5000) g");
    await queuePool.query("SELECT pg_stat_force_next_flush()"); // what happened counts now, not in a second
    await queuePool.query("DELETE FROM kiln.workers");
    await database.tidy();
  };
  await comeAndGo();
  expect(await size()).toBe(0);
  await database.close();
});

test("a PostgreSQL that is starting up is waited for", async ({ skip }) => {
  const postgres = await startPostgres();
  if (!postgres) return skip("PostgreSQL is not installed here");
  postgres.kill();
  await postgres.restart(); // it listens, and reads its log
  const database = await openDatabase({ url: postgres.url, dataDir: "" });
  expect(await database.records.selectFrom("keys").select("id").execute()).toEqual([]);
  await database.close();
  await postgres.stop();
});
