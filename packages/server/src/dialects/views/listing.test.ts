import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestServer } from "../../testing/start-test-server.ts";
import { type Job, type Page, register } from "../../testing/views-client.ts";
import { startViewsServer } from "../../testing/views-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startViewsServer();
});
afterAll(async () => {
  await server.close();
});

test("pages, history and filters", async () => {
  const dora = await register(server, "dora@example.org");
  const made: Job[] = [];
  for (let index = 0; index < 12; index++)
    made.push(await dora.create({ message: index === 3 ? "Unusual 100% words" : `number ${index}` }));
  const ids = made.map(({ id }) => id);
  const newest = ids.toReversed();
  const first = await dora.list();
  expect(first).toMatchObject({ count: 12, previous: null, next: `${server.url}/api/jobs/?page=2` });
  expect(first.results.map(({ id }) => id)).toEqual(newest.slice(0, 10));
  const second = (await (await fetch(first.next ?? "", { headers: { authorization: `Token ${dora.token}` } })).json()) as Page;
  expect(second).toMatchObject({ count: 12, next: null, previous: `${server.url}/api/jobs/` });
  expect(second.results.map(({ id }) => id)).toEqual(newest.slice(10));
  const history = await dora.send("GET", "/api/jobs/history/?search=number");
  expect(history.json).toMatchObject({ count: 11, next: `${server.url}/api/jobs/history/?search=number&page=2` });

  for (const id of ids) await dora.ended(id);
  const found = async (query: string) => (await dora.list(query)).results.map(({ id }) => id);
  expect(await found("?search=UNUSUAL 100%25 w")).toEqual([ids[3]]);
  expect(await found("?search=%25")).toEqual([ids[3]]);
  expect((await dora.list("?status=completed")).count).toBe(12);
  expect(await found("?status=failed")).toEqual([]);
  // Midnight may come between the first and the last.
  const [firstDay, lastDay] = [made[0], made[11]].map((job) => job?.created_at.slice(0, 10));
  expect((await dora.list(`?date_from=${firstDay}&date_to=${lastDay}`)).count).toBe(12);
  expect((await dora.list("?date_from=2100-01-01")).count).toBe(0);
  expect((await dora.list("?date_to=2020-01-01T10:00:00Z")).count).toBe(0);
  expect((await dora.list("?status=&search=&page=")).count).toBe(12);

  for (const [query, field] of [
    ["status=cooking", "status"],
    ["date_from=yesterday", "date_from"],
    ["date_to=2024-13-45", "date_to"],
    ["date_from=0000-02-29", "date_from"],
    ["date_to=9999-12-31", "date_to"],
    ["favorites=perhaps", "favorites"],
    ["search=a&search=b", "search"],
    ["search=%ed%a0%80", ""],
  ]) {
    const { status, json } = await dora.send("GET", `/api/jobs/?${query}`);
    if (field) expect([status, json]).toEqual([400, { [field]: [expect.any(String)] }]);
    else expect(status).toBe(200);
  }
  for (const page of ["0", "3", "x", "1.5", "99999999999"])
    expect(await dora.send("GET", `/api/jobs/?page=${page}`)).toMatchObject({ status: 404, json: { detail: "Invalid page." } });
});
