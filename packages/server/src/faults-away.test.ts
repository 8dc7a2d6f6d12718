import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { cleanups, expectAllCompleted, folder } from "./testing/faults.ts";
import { submitMany } from "./testing/send-jobs.ts";
import { type StartedServer, startPostgres, startRedis } from "./testing/servers.ts";
import { startTestServer, type TestServer } from "./testing/start-test-server.ts";

/** How long the real servers stay away. Longer than locks and reconnects take; CI has the time for what was promised. */
const AWAY_SECONDS = Number(process.env.AWAY_SECONDS ?? (process.env.CI ? 20 : 6));
/** "At once": nobody waits longer than this to hear that nothing can be taken. */
const SOON_MILLISECONDS = 15_000;
const SMALL = { prompt: "x", width: 64, height: 64, steps: 2 };

/** What each face answers while its parts are away: its own error, or the acceptance of a job that is then held to. */
const CALLS: readonly { path: string; body: object; refused: object }[] = [
  { path: "/v1/jobs", body: SMALL, refused: { code: "unavailable", status: 503 } },
  { path: "/generate", body: { girl_id: "anna", user_id: 1, prompt: "x" }, refused: { detail: expect.any(String) } },
  { path: "/v1/images/generations", body: { prompt: "x" }, refused: { error: { code: "unavailable", type: "server_error" } } },
  { path: "/sdapi/v1/txt2img", body: SMALL, refused: { detail: expect.anything() } },
];

/** Sent while the part is away, and again afterwards: what was refused has used no key up. */
const SAME_KEY = { "idempotency-key": "refused while away" };

async function started(settings: Record<string, string>): Promise<TestServer> {
  const quick = { KILN_LISTEN: "127.0.0.1:0=queue", KILN_LOCK_SECONDS: "2", KILN_TEST_ENGINE_STEP_MS: "50" };
  const server = await startTestServer({ ...quick, ...settings }, folder());
  cleanups.push(() => server.close());
  return server;
}

async function takeAway(away: StartedServer, server: TestServer): Promise<void> {
  const acknowledged = new Set<string>();
  await submitMany(() => server.url, 20, acknowledged);
  expect(acknowledged.size).toBe(20);
  const since = Date.now();
  away.kill();
  await Promise.all(
    CALLS.map(async ({ path, body, refused }) => {
      const asked = Date.now();
      const answer = await server.call("POST", path, body, SAME_KEY);
      expect({ path, status: answer.status, json: answer.json }).toMatchObject({ path, status: 503, json: refused });
      expect(Date.now() - asked).toBeLessThan(SOON_MILLISECONDS);
    }),
  );
  expect((await server.call("GET", "/healthz")).status).toBe(200);
  expect((await server.call("GET", "/readyz")).status).toBe(503);
  await sleep(Math.max(0, AWAY_SECONDS * 1000 - (Date.now() - since)));
  await away.restart();
  for (;;) {
    const { status, json } = await server.call("POST", "/v1/jobs", SMALL, SAME_KEY);
    if (status === 202) acknowledged.add((json as { id: string }).id);
    if (status === 202) break;
    expect(status).toBe(503);
    await sleep(200);
  }
  await expectAllCompleted(server.url, acknowledged);
}

test("PostgreSQL away: every face says so at once, and what was acknowledged is drawn", { timeout: 300_000 }, async ({
  skip,
}) => {
  const postgres = await startPostgres();
  if (!postgres) return skip("PostgreSQL is not installed here");
  cleanups.push(() => postgres.stop());
  await takeAway(postgres, await started({ DATABASE_URL: postgres.url }));
});

test("Redis away: every face says so at once, and what was acknowledged is drawn", { timeout: 300_000 }, async ({ skip }) => {
  const redis = await startRedis();
  if (!redis) return skip("Redis is not installed here");
  cleanups.push(() => redis.stop());
  await takeAway(redis, await started({ REDIS_URL: redis.url }));
});
