import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MAX_BODY_BYTES } from "../jobs/limits.ts";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  await server.close();
});

test("large bodies are refused while many are on their way, and small ones are not", async () => {
  const sendLarge = async () => (await server.call("POST", "/v1/jobs", { prompt: "x".repeat(2 * 1024 * 1024) })).status;
  const head = `POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${MAX_BODY_BYTES}\r\n\r\n`;
  const port = Number(new URL(server.url).port);
  const others = Array.from({ length: 16 }, () => connect(port, "127.0.0.1").on("error", () => {}));
  for (const other of others) other.write(head);
  await expect.poll(sendLarge, { timeout: 60_000 }).toBe(503);
  expect((await server.call("POST", "/v1/jobs", { prompt: "x" })).status).toBe(202);
  for (const other of others) other.destroy();
  await expect.poll(sendLarge, { timeout: 60_000 }).toBe(422);
});
