import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { JobView } from "../jobs/job-view.ts";
import { type StartedServer, startPostgres } from "../testing/servers.ts";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

/** No worker runs, so that everything which is accepted waits and counts, also when midnight passes meanwhile. */
describe("quotas over two gateways on one PostgreSQL", () => {
  let postgres: StartedServer | undefined;
  let gateways: TestServer[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
    if (!postgres) return;
    const settings = { DATABASE_URL: postgres.url, KILN_ROLE: "gateway" };
    gateways = [await startTestServer(settings), await startTestServer(settings)];
    await gateways[0]?.context.keys.create({ name: "admin", role: "admin" });
  });
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    await postgres?.stop();
  });
  beforeEach(({ skip }) => {
    if (!postgres) skip("PostgreSQL is not installed here");
  });

  async function keyOf(quotaPicturesPerDay: number): Promise<string> {
    const made = await gateways[0]?.context.keys.create({ name: "crowd", quotaPicturesPerDay });
    await gateways[1]?.context.keys.list(); // reads the keys anew
    return made?.key ?? "";
  }

  /** So many requests at once, by turns to either gateway. */
  async function crowd(count: number, key: string, headers: Record<string, string> = {}) {
    const senders = Array.from({ length: count / gateways.length }, () => gateways).flat();
    const sent = senders.map((gateway) =>
      gateway.call("POST", "/v1/jobs", { prompt: "x" }, { authorization: `Bearer ${key}`, ...headers }),
    );
    return await Promise.all(sent);
  }

  test("requests that come to both at once stay within it", async () => {
    const answers = await crowd(40, await keyOf(7));
    const accepted = answers.filter(({ status }) => status === 202);
    expect(accepted).toHaveLength(7);
    for (const { status, json } of answers.filter((answer) => !accepted.includes(answer)))
      expect({ status, json }).toMatchObject({ status: 429, json: { code: "quota_exceeded" } });
  });

  test("owners do not wait for one another without end", async () => {
    const keys = await Promise.all(Array.from({ length: 15 }, () => keyOf(1)));
    const answers = await Promise.all(keys.map((key) => crowd(4, key)));
    for (const each of answers) expect(each.map(({ status }) => status).sort()).toEqual([202, 429, 429, 429]);
  });

  test("one idempotency key is one job, although the quota is full after it", async () => {
    const answers = await crowd(10, await keyOf(1), { "idempotency-key": "once" });
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    expect(new Set(answers.map(({ json }) => (json as { id: string }).id)).size).toBe(1);
  });
});

test("a quota counts what has been made today", async () => {
  const server = await startTestServer();
  await server.context.keys.create({ name: "admin", role: "admin" });
  const today = () => new Date().toISOString().slice(0, 10);
  let day: string;
  let second: number;
  do {
    day = today();
    const { key } = await server.context.keys.create({ name: "one a day", quotaPicturesPerDay: 1 });
    const headers = { authorization: `Bearer ${key}` };
    const { id } = (await server.call("POST", "/v1/jobs", { prompt: "x" }, headers)).json as JobView;
    const status = async () => ((await server.call("GET", `/v1/jobs/${id}`, undefined, headers)).json as JobView).status;
    while ((await status()) !== "completed") await sleep(20);
    second = (await server.call("POST", "/v1/jobs", { prompt: "x" }, headers)).status;
  } while (day !== today()); // at midnight the count begins anew
  expect(second).toBe(429);
  await server.close();
});
