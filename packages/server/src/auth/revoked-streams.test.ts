import { afterAll, beforeAll, expect, test } from "vitest";
import { openSocket } from "../testing/open-socket.ts";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

let server: TestServer;
beforeAll(async () => {
  // The job is still running when the streams are looked at.
  server = await startTestServer({ KILN_TEST_ENGINE_STEP_MS: "2000" });
});
afterAll(async () => {
  await server.close();
});

// They notice with their next heartbeat, a quarter of a minute apart.
test("open streams end once their key is revoked", { timeout: 120_000 }, async () => {
  const { key: admin } = await server.context.keys.create({ name: "admin", role: "admin" });
  const { key, view } = await server.context.keys.create({ name: "user" });
  const headers = { authorization: `Bearer ${key}` };
  const { json } = await server.call("POST", "/v1/jobs", { prompt: "x", steps: 150 }, headers);
  const { id } = json as { id: string };
  const events = await fetch(`${server.url}/v1/jobs/${id}/events`, { headers });
  const socket = await openSocket(`${server.url}/v1/events?token=${key}`);
  const other = await openSocket(`${server.url}/v1/events?token=${admin}`);
  expect([events.status, socket.status, other.status]).toEqual([200, 101, 101]);
  let othersEnd = false;
  void other.ended.then(() => {
    othersEnd = true;
  });

  await server.context.keys.revoke(view.id);
  const cut = events.text().then(
    () => "ended",
    () => "cut",
  );
  await socket.ended;
  expect(await cut).toBe("cut");
  expect(othersEnd).toBe(false);
  other.close();
});
