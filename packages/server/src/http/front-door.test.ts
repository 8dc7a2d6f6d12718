import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import websocket from "@fastify/websocket";
import Fastify from "fastify";
import { afterEach, expect, test } from "vitest";
import WebSocket from "ws";
import { KeysMarker } from "../auth/keys-marker.ts";
import { loadSettings } from "../settings/load.ts";
import { FrontDoor } from "./front-door.ts";
import { PAGE_FOLDER } from "./page-files.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function dataFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "kiln-door-"));
  ends.push(async () => rmSync(path, { recursive: true }));
  return path;
}

async function openDoor(host = "127.0.0.1", given: Record<string, string> = {}): Promise<FrontDoor> {
  const settings = { KILN_DATA_DIR: dataFolder(), ...given };
  const door = await FrontDoor.open({ host, port: 0, dialect: "native" }, loadSettings(settings, "/"));
  ends.push(() => door.close());
  return door;
}

/** An application that answers with what it was asked and sent. */
async function lead(door: FrontDoor): Promise<void> {
  const app = Fastify();
  await app.register(websocket);
  app.get("/socket", { websocket: true }, (socket) => socket.send("hello"));
  app.all("/*", async (request) => ({ method: request.method, url: request.url, body: request.body ?? null }));
  await app.ready();
  ends.push(() => app.close());
  door.lead(app.server);
}

/** `fetch` sets the Host header itself. */
async function get(door: FrontDoor, path: string, headers: Record<string, string>): Promise<IncomingMessage> {
  const call = httpRequest({ host: "127.0.0.1", port: door.port, path, headers });
  call.end();
  const [answer] = await once(call, "response");
  return answer;
}

test("the process lives and is not ready", async () => {
  const { url } = await openDoor();
  const health = await fetch(`${url}/healthz`);
  expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
  const ready = await fetch(`${url}/readyz`);
  expect([ready.status, ready.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await ready.json()).toMatchObject({ status: 503, code: "unavailable" });
});

test("whoever comes early is served by the application, bodies and all", async () => {
  const door = await openDoor();
  const settled: string[] = [];
  const body = "x".repeat(1_000_000);
  const post = fetch(`${door.url}/v1/jobs`, { method: "POST", body, headers: { "content-type": "text/plain" } }).then(
    (answer) => {
      settled.push("post");
      return answer.json();
    },
  );
  const socket = new WebSocket(`${door.url.replace("http", "ws")}/socket`);
  const hello = once(socket, "message");
  expect((await fetch(`${door.url}/healthz`)).status).toBe(200);
  expect(settled).toEqual([]);
  await lead(door);
  expect(await post).toEqual({ method: "POST", url: "/v1/jobs", body });
  expect(String((await hello)[0])).toBe("hello");
  socket.terminate();
  expect(await (await fetch(`${door.url}/healthz`)).json()).toEqual({ method: "GET", url: "/healthz", body: null });
});

test("a client that has gone meanwhile is not served", async () => {
  const door = await openDoor();
  const abort = new AbortController();
  const gone = fetch(`${door.url}/gone`, { signal: abort.signal });
  const stays = fetch(`${door.url}/stays`);
  await fetch(`${door.url}/healthz`);
  abort.abort();
  await expect(gone).rejects.toThrow();
  await lead(door);
  expect((await stays).status).toBe(200);
});

test.skipIf(!existsSync(PAGE_FOLDER))(
  "the page is there for the person at this machine alone, while no key is needed",
  async () => {
    const door = await openDoor();
    const own = await get(door, "/", { accept: "text/html" });
    expect([own.statusCode, own.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(own.headers["content-security-policy"]).toContain("default-src 'self'");
    const html = Buffer.concat(await own.toArray()).toString();
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(html)?.[1] ?? "";
    const file = await get(door, script, {});
    expect([file.statusCode, file.headers["content-type"]]).toEqual([200, "text/javascript; charset=utf-8"]);
    file.resume();

    const behindProxy = await openDoor("127.0.0.1", { KILN_TRUST_PROXY: "true" });
    const withKeys = dataFolder();
    new KeysMarker(withKeys).set(true);
    const locked = await openDoor("127.0.0.1", { KILN_DATA_DIR: withKeys });
    const shared = await openDoor("127.0.0.1", { DATABASE_URL: "postgres://records.example/kiln" });
    const asked = [
      get(door, "/", { accept: "text/html", host: "elsewhere.example" }),
      get(door, "/", { accept: "application/json" }),
      get(door, "/../package.json", {}),
      get(door, "/assets/../../package.json", {}),
      ...[behindProxy, locked, shared].map((other) => get(other, "/", { accept: "text/html" })),
    ];
    await fetch(`${door.url}/healthz`);
    await lead(door);
    for (const other of [behindProxy, locked, shared]) await lead(other);
    for (const answer of await Promise.all(asked)) {
      expect(answer.headers["content-type"]).toContain("application/json"); // the application's
      answer.resume();
    }
  },
);

test("an address that is taken is said at once", async () => {
  const { port } = await openDoor();
  const second = FrontDoor.open({ host: "127.0.0.1", port, dialect: "native" }, loadSettings({}, "/"));
  await expect(second).rejects.toMatchObject({ code: "EADDRINUSE", port });
});
