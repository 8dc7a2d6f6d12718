import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lookAt } from "../../testing/look-at.ts";
import { freePort } from "../../testing/servers.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** The autoscaler: gives its public key, and takes reports. */
const reports: Record<string, unknown>[] = [];
let autoscaler: Server;
let server: TestServer;
let url: string;
const log = join(mkdtempSync(join(tmpdir(), "kiln-vast-")), "model.log");

beforeAll(async () => {
  autoscaler = createServer((request, response) => {
    if (request.url === "/pubkey/") {
      response.end(publicKey.export({ type: "spki", format: "pem" }));
      return;
    }
    let body = "";
    request.on("data", (part: Buffer) => {
      body += part.toString();
    });
    request.on("end", () => {
      if (request.url === "/worker_status/") reports.push(JSON.parse(body) as Record<string, unknown>);
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => autoscaler.listen(0, "127.0.0.1", resolve));
  const { port } = autoscaler.address() as AddressInfo;
  const WORKER_PORT = String(await freePort());
  server = await startTestServer({
    WORKER_PORT,
    REPORT_ADDR: `http://127.0.0.1:1, http://127.0.0.1:${port}/`,
    CONTAINER_ID: "7341",
    KILN_PUBLIC_URL: "http://203.0.113.9:40123",
    MODEL_LOG: log,
  });
  url = `http://127.0.0.1:${WORKER_PORT}`;
});
afterAll(async () => {
  await server.close();
  await new Promise((resolve) => autoscaler.close(resolve));
});

interface Auth {
  signature: string;
  cost: string;
  endpoint: string;
  reqnum: number;
  url: string;
}

/** As the autoscaler signs: over the other fields, as Python's json.dumps(..., indent=4) writes them. */
function signed(reqnum: number, endpoint = "kiln", key = privateKey): Auth {
  const message = `{
    "cost": "256.0",
    "endpoint": "${endpoint.replace("é", "\\u00e9")}",
    "reqnum": ${reqnum},
    "url": "http://203.0.113.9:40123"
}`;
  const signature = sign("sha256", Buffer.from(message), key).toString("base64");
  return { signature, cost: "256.0", endpoint, reqnum, url: "http://203.0.113.9:40123" };
}

async function post(body: unknown): Promise<{ status: number; json: unknown }> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/generate`, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, json: await response.json() };
}

const payload = { prompt: "a valley", steps: 2 };

test("a signed envelope is drawn, once", async () => {
  const auth_data = signed(500);
  const { status, json } = await post({ auth_data, payload });
  expect({ status, json }).toMatchObject({ status: 200, json: { success: true, error_message: null } });
  const { image_b64 } = json as { image_b64: string };
  expect(await lookAt(Buffer.from(image_b64, "base64"))).toMatchObject({ format: "jpeg", width: 256 });
  expect(await post({ auth_data, payload })).toMatchObject({ status: 401 });
});

test("letters beyond ASCII are signed as Python escapes them", async () => {
  expect(await post({ auth_data: signed(501, "café"), payload })).toMatchObject({ status: 200 });
});

test("wrong signatures and old numbers are 401", async () => {
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  expect(await post({ auth_data: signed(502, "kiln", stranger), payload })).toMatchObject({ status: 401 });
  expect(await post({ auth_data: { ...signed(503), cost: "1.0" }, payload })).toMatchObject({ status: 401 });
  expect(await post({ auth_data: { ...signed(504), signature: "" }, payload })).toMatchObject({ status: 401 });
  expect(await post({ auth_data: signed(400), payload })).toMatchObject({ status: 401 });
  expect(await post({ auth_data: signed(401), payload })).toMatchObject({ status: 200 });
});

test("missing and wrong parts are 422, by part", async () => {
  expect(await post({ payload })).toMatchObject({ status: 422, json: { auth_data: "field missing" } });
  expect(await post({ auth_data: signed(510) })).toMatchObject({ status: 422, json: { payload: "field missing" } });
  const { signature: _, ...unsigned } = signed(511);
  expect(await post({ auth_data: unsigned, payload })).toMatchObject({
    status: 422,
    json: { auth_data: { signature: "missing parameter" } },
  });
  expect(await post({ auth_data: unsigned, payload: { steps: 2 } })).toEqual({
    status: 422,
    json: { auth_data: { signature: "missing parameter" }, payload: { prompt: "Field required" } },
  });
  const broken = await fetch(`${url}/generate`, { method: "POST", headers: { "content-type": "application/json" }, body: "{" });
  expect([broken.status, await broken.json()]).toEqual([422, { error: "invalid JSON" }]);
  expect(await post({ auth_data: { ...signed(512), reqnum: "512" }, payload })).toMatchObject({
    status: 422,
    json: { auth_data: { reqnum: expect.any(String) } },
  });
  expect(await post({ auth_data: signed(513), payload: { steps: 0 } })).toMatchObject({
    status: 422,
    json: { payload: { prompt: "Field required", steps: expect.any(String) } },
  });
  for (const body of [null, [], "x", 5, { auth_data: 5, payload: 5 }]) expect((await post(body)).status).toBe(422);
});

test("the signature opens nothing but the worker's own route", async () => {
  expect((await fetch(`${url}/v1/jobs`)).status).toBe(401);
  expect(await (await fetch(`${url}/ping`)).text()).toBe("pong");
});

test("the log has the line of readiness, and reports tell load and performance", async () => {
  await expect.poll(() => readFileSync(log, "utf8")).toBe("Kiln model server ready\n");
  await expect.poll(() => reports.length, { interval: 200 }).toBeGreaterThan(0);
  expect(reports[0]).toEqual({
    id: 7341,
    loadtime: expect.any(Number),
    cur_load: expect.any(Number),
    error_msg: "",
    max_perf: expect.any(Number),
    cur_perf: expect.any(Number),
    cur_capacity: 0,
    max_capacity: 0,
    num_requests_working: 0,
    num_requests_recieved: 3,
    additional_disk_usage: 0,
    url: "http://203.0.113.9:40123",
  });
  for (const name of ["loadtime", "cur_load", "max_perf", "cur_perf"]) expect(reports[0]?.[name]).toBeGreaterThan(0);
});
