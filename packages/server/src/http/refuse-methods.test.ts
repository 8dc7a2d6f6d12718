import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

let server: TestServer;
beforeAll(async () => {
  const dialects = ["instant", "views", "queue", "pose", "depth"];
  server = await startTestServer({ KILN_LISTEN: dialects.map((dialect) => `127.0.0.1:0=${dialect}`).join(",") });
});
afterAll(async () => {
  await server.close();
});

const detail = expect.any(String);
const problem = expect.objectContaining({ status: 405, code: "method_not_allowed", detail });

test.each([
  ["queue", "GET", "/generate", "POST", { detail }],
  ["queue", "DELETE", "/status/job_1", "GET", { detail }],
  ["pose", "PUT", "/generate/batch", "POST", { detail }],
  ["pose", "POST", "/", "GET", { detail }],
  ["views", "GET", "/api/auth/login", "POST", { detail }],
  ["views", "PUT", "/api/jobs/", "GET, POST", { detail }],
  ["views", "DELETE", "/api/jobs/history/", "GET", { detail }],
  ["instant", "PATCH", "/generate", "POST", { success: false, error: "method_not_allowed", detail }],
  ["depth", "POST", "/ping", "GET", { detail }],
  ["queue", "GET", "/v1/images/generations", "POST", { error: expect.objectContaining({ code: "method_not_allowed" }) }],
  ["queue", "PUT", "/v1/jobs/x", "GET, PATCH, DELETE", problem],
])("%s: %s %s is 405 in the contract's form, and Allow says %s", async (dialect, method, path, allow, body) => {
  const { url } = server.listeners.find((listener) => listener.dialect === dialect) ?? {};
  // A body that nobody could read changes nothing.
  const sent = method === "GET" ? {} : { body: "{", headers: { "content-type": "application/json" } };
  const response = await fetch(`${url}${path}`, { method, ...sent });
  expect([response.status, response.headers.get("allow")]).toEqual([405, allow]);
  expect(await response.json()).toEqual(body);
});

test("HEAD and what is nowhere stay as they are", async () => {
  expect((await fetch(`${server.url}/health`, { method: "HEAD" })).status).toBe(200);
  expect((await server.call("PUT", "/nowhere")).status).toBe(404);
});
