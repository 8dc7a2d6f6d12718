import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Socket } from "node:net";
import { afterAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";
import type { JobView } from "./job-view.ts";
import { isPrivate, sendWebhook } from "./webhooks.ts";

let server: TestServer | undefined;
afterAll(async () => {
  await server?.close();
});

test("the end of a job is told, signed, and tried again", async () => {
  const received: { body: string; headers: Record<string, unknown> }[] = [];
  let done = () => {};
  const told = new Promise<void>((resolve) => {
    done = resolve;
  });
  const receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk;
    });
    request.on("end", () => {
      received.push({ body, headers: request.headers });
      response.writeHead(received.length === 1 ? 500 : 204).end();
      if (received.length === 2) done();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  server = await startTestServer({ KILN_WEBHOOK_PRIVATE: "true" });
  await server.call("POST", "/v1/jobs", { prompt: "x", webhook: { url: `http://127.0.0.1:${port}/hook`, secret: "s3cret" } });
  await told;
  receiver.close();
  const [, second] = received;
  expect(JSON.parse(second?.body ?? "{}")).toMatchObject({ event: "job.completed", job: { status: "completed" } });
  expect(second?.body).not.toContain("s3cret");
  const signed = createHmac("sha256", "s3cret").update(`${second?.headers["x-kiln-timestamp"]}.${second?.body}`).digest("hex");
  expect(second?.headers["x-kiln-signature"]).toBe(`sha256=${signed}`);
});

/** A receiver that answers with bytes that never end. */
async function endlessReceiver(start: string): Promise<{ url: string; connected: Promise<Socket>; close(): void }> {
  let meet = (_socket: Socket) => {};
  const connected = new Promise<Socket>((resolve) => {
    meet = resolve;
  });
  const receiver = createSocketServer((socket) => {
    socket.write(start);
    const drip = setInterval(() => socket.write("x"), 20);
    socket.on("error", () => {}).on("close", () => clearInterval(drip));
    socket.resume();
    meet(socket);
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, connected, close: () => receiver.close() };
}

const ENDED = { id: "job_1", status: "completed" } as JobView;

test("a receiver whose headers never end is given up", async () => {
  const receiver = await endlessReceiver("HTTP/1.1 200 OK\r\nx-header: ");
  await expect(sendWebhook(ENDED, { url: receiver.url }, true, 500)).rejects.toThrow("did not answer in time");
  receiver.close();
});

test("one whose answer never ends has heard of the job, and is left", async () => {
  const receiver = await endlessReceiver("HTTP/1.1 200 OK\r\n\r\n");
  const left = receiver.connected.then((socket) => new Promise((resolve) => socket.on("close", resolve)));
  await sendWebhook(ENDED, { url: receiver.url }, true, 5000);
  await left;
  receiver.close();
});

test.each([
  "127.0.0.1",
  "10.1.2.3",
  "169.254.169.254",
  "192.168.1.1",
  "100.64.0.1",
  "0.0.0.0",
  "::1",
  "::",
  "fe80::1",
  "fc00::1",
  "::ffff:127.0.0.1",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
])("%s is private", (address) => {
  expect(isPrivate(address)).toBe(true);
});

test.each(["1.1.1.1", "93.184.216.34", "2606:4700::1111"])("%s is public", (address) => {
  expect(isPrivate(address)).toBe(false);
});
