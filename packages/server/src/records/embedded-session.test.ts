import { PGlite } from "@electric-sql/pglite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EmbeddedSession } from "./embedded-session.ts";

let db: PGlite;
let session: EmbeddedSession;
beforeAll(async () => {
  db = await PGlite.create();
  session = new EmbeddedSession(db);
  await session.query("CREATE TABLE thing (id int PRIMARY KEY, name text, at timestamptz, data jsonb, tags text[], big bigint)");
});
afterAll(async () => {
  await db.close();
});

test("values go in and come back as node-postgres has them", async () => {
  const at = new Date("2026-01-02T03:04:05.678Z");
  const tags = ["plain", 'with "quotes", a comma and a \\', "", null];
  const values = [1, "it's ünïcode 😀", at, { a: [1, "b"] }, tags, 5n];
  const written = await session.query("INSERT INTO thing VALUES ($1, $2, $3, $4, $5, $6)", values);
  expect(written).toEqual({ rows: [], rowCount: 1, command: "INSERT" });
  const { rows, rowCount } = await session.query("SELECT *, $2::bool AS yes FROM thing WHERE id = $1", [1, true]);
  expect(rows).toEqual([{ id: 1, name: "it's ünïcode 😀", at, data: { a: [1, "b"] }, tags, big: 5, yes: true }]);
  expect(rowCount).toBe(1);
  const found = await session.query("SELECT id FROM thing WHERE name = ANY($1)", [["other", "it's ünïcode 😀"]]);
  expect(found.rows).toEqual([{ id: 1 }]);
});

test("a prepared statement is used again, with other values and no rows too", async () => {
  for (const [id, count] of [
    [1, 1],
    [99, 0],
    [1, 1],
  ]) {
    expect((await session.query("SELECT name FROM thing WHERE id = $1", [id])).rows).toHaveLength(count ?? 0);
  }
  const prepared = await session.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_prepared_statements");
  const again = await session.query("SELECT name FROM thing WHERE id = $1", [2]);
  expect(again.rows).toEqual([]);
  expect(await session.query("SELECT count(*)::int AS n FROM pg_prepared_statements")).toEqual(prepared);
});

test("an error is PostgreSQL's own, and the next statement is none the worse", async () => {
  const twice = session.query("INSERT INTO thing (id) VALUES ($1)", [1]);
  await expect(twice).rejects.toMatchObject({ code: "23505" });
  await expect(session.query("SELEC $1", [1])).rejects.toMatchObject({ code: "42601" });
  await expect(session.query("SELECT id FROM thing WHERE id = $1", ["not a number"])).rejects.toMatchObject({ code: "22P02" });
  await expect(session.query("SELECT 1 / 0")).rejects.toMatchObject({ code: "22012" });
  expect((await session.query("SELECT id FROM thing WHERE id = $1", [1])).rows).toEqual([{ id: 1 }]);
});

test("a transaction that fails is rolled back, prepared statements and all", async () => {
  await session.query("BEGIN");
  await session.query("INSERT INTO thing (id) VALUES ($1)", [7]);
  await expect(session.query("INSERT INTO thing (id) VALUES ($1)", [7])).rejects.toMatchObject({ code: "23505" });
  await expect(session.query("SELECT $1::int AS one", [1])).rejects.toMatchObject({ code: "25P02" });
  await session.query("ROLLBACK");
  expect((await session.query("SELECT id FROM thing WHERE id = $1", [7])).rows).toEqual([]);
  expect((await session.query("SELECT $1::int AS one", [1])).rows).toEqual([{ one: 1 }]);
});

test("a table that changes its columns does not trip statements over it", async () => {
  const all = "SELECT * FROM thing WHERE id = $1";
  await session.query(all, [1]);
  await session.query("ALTER TABLE thing ADD COLUMN more int DEFAULT 3");
  expect((await session.query(all, [1])).rows[0]).toMatchObject({ more: 3 });
});

test("no more statements stay prepared than there is room for", async () => {
  for (let index = 0; index < 300; index++)
    expect((await session.query(`SELECT $1::int + ${index} AS n`, [1])).rows).toEqual([{ n: index + 1 }]);
  const { rows } = await session.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_prepared_statements");
  expect(rows[0]?.n).toBeLessThanOrEqual(128);
});

test("of several statements in one text the last one's rows count", async () => {
  expect(await session.query("SELECT 1 AS a; SELECT 2 AS b, 3 AS c")).toEqual({
    rows: [{ b: 2, c: 3 }],
    rowCount: 1,
    command: "SELECT",
  });
});

test("notifications arrive", async () => {
  const heard: string[] = [];
  await db.listen("news", (payload) => heard.push(payload));
  await session.query("SELECT pg_notify('news', $1)", ["hello"]);
  await new Promise((resolve) => setTimeout(resolve));
  expect(heard).toEqual(["hello"]);
});
