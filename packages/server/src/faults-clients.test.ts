import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobView } from "./jobs/job-view.ts";
import { startTestServer, type TestServer } from "./testing/start-test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    KILN_LISTEN: "127.0.0.1:0=native,127.0.0.1:0=queue,127.0.0.1:0=instant",
    KILN_TEST_ENGINE_STEP_MS: "10",
  });
});
afterAll(async () => {
  await server.close();
});

async function send(head: string[], body = ""): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.on("error", () => {});
  socket.write([...head, `Host: ${hostname}:${port}`, "", body].join("\r\n"));
  return socket;
}

async function jobs(): Promise<JobView[]> {
  return ((await server.call("GET", "/v1/jobs")).json as { jobs: JobView[] }).jobs;
}

test("a client that goes away in the middle of its request makes no job", async () => {
  const before = (await jobs()).length;
  const head = ["POST /v1/jobs HTTP/1.1", "Content-Type: application/json", "Content-Length: 1000"];
  const socket = await send(head, '{"prompt": "half a requ');
  await sleep(100);
  socket.destroy();
  await sleep(200);
  expect(await jobs()).toHaveLength(before);
  expect((await server.call("GET", "/healthz")).status).toBe(200);
});

test("half an upload is none", async () => {
  const part = '--kiln\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\nPNG';
  const head = [
    "POST /v1/uploads HTTP/1.1",
    "Content-Type: multipart/form-data; boundary=kiln",
    `Content-Length: ${part.length + 5000}`,
  ];
  const socket = await send(head, part);
  await sleep(100);
  socket.destroy();
  // The same, ended by the client as if it were whole: what has come is no picture.
  const cut = await fetch(`${server.url}/v1/uploads`, {
    method: "POST",
    body: part,
    headers: { "content-type": "multipart/form-data; boundary=kiln" },
  });
  expect(cut.status).toBeGreaterThanOrEqual(400);
  expect(cut.status).toBeLessThan(500);
  expect((await server.call("GET", "/healthz")).status).toBe(200);
});

test("a client that goes away while it waits leaves its job to end", async () => {
  const { id } = (await server.call("POST", "/v1/jobs", { prompt: "x", steps: 40, width: 64, height: 64 })).json as JobView;
  const socket = await send([`GET /v1/jobs/${id}/events HTTP/1.1`]);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.destroy();
  for (;;) {
    const job = (await server.call("GET", `/v1/jobs/${id}`)).json as JobView;
    if (job.status === "completed") break;
    expect(["queued", "running"]).toContain(job.status);
    await sleep(50);
  }
});

test("readers that do not read hold up neither the job nor anybody else", async () => {
  const { id } = (await server.call("POST", "/v1/jobs", { prompt: "x", steps: 100, width: 64, height: 64 })).json as JobView;
  const readers: Socket[] = [];
  for (let index = 0; index < 20; index++) {
    const socket = await send([`GET /v1/jobs/${id}/events HTTP/1.1`]);
    socket.pause();
    readers.push(socket);
  }
  const text = await (await fetch(`${server.url}/v1/jobs/${id}/events`)).text();
  expect(text.trim().split("\n\n").at(-1)).toContain('"status":"completed"');
  for (const socket of readers) socket.destroy();
});

const MEGABYTE = 1024 * 1024;

test.each([
  ["50 MB", 50 * MEGABYTE, 422],
  ["more than the limit", 70 * MEGABYTE, 413],
])("a JSON body of %s is refused by name", async (_, bytes, status) => {
  const body = JSON.stringify({ prompt: "x".repeat(bytes) });
  const answer = await fetch(`${server.url}/v1/jobs`, { method: "POST", body, headers: { "content-type": "application/json" } });
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toContain("application/problem+json");
  expect(await answer.json()).toMatchObject({ status });
});

test("every face refuses 50 MB of JSON in its own words", async () => {
  const body = JSON.stringify({ prompt: "x".repeat(50 * MEGABYTE) });
  const [, queue, instant] = server.listeners.map(({ url }) => url);
  for (const address of [
    `${queue}/v1/images/generations`,
    `${queue}/sdapi/v1/txt2img`,
    `${queue}/generate`,
    `${instant}/generate`,
  ]) {
    const answer = await fetch(address, { method: "POST", body, headers: { "content-type": "application/json" } });
    expect(answer.status, address).toBeGreaterThanOrEqual(400);
    expect(answer.status, address).toBeLessThan(500);
    expect(typeof (await answer.json()), address).toBe("object");
  }
});
