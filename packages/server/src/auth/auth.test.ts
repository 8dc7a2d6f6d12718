import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JobView } from "../jobs/job-view.ts";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";
import { KeysMarker } from "./keys-marker.ts";

/** A request with a Host of its own, which fetch does not allow. */
async function statusWith(url: string, headers: Record<string, string>, method = "GET"): Promise<number> {
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", reject);
    sent.end();
  });
}

describe("keyless on loopback", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ KILN_HOSTS: "kiln.lan", KILN_CORS_ORIGINS: "https://app.example" });
  });
  afterAll(async () => {
    await server.close();
  });

  test.each([
    [{ host: "localhost:7860" }, 200],
    [{ host: "127.0.0.1" }, 200],
    [{ host: "[::1]:7860" }, 200],
    [{ host: "kiln.lan" }, 200],
    [{ host: "evil.example" }, 403],
    [{ host: "evil.example@localhost" }, 403],
    [{ host: "localhost/evil.example" }, 403],
    [{ host: "127.0.0.1.evil.example" }, 403],
    [{ host: "localhost", origin: "http://localhost:5173" }, 200],
    [{ host: "localhost", origin: "https://app.example" }, 200],
    [{ host: "localhost", origin: "https://evil.example" }, 403],
    [{ host: "localhost", origin: "null" }, 403],
    [{ host: "localhost", authorization: "Bearer placeholder" }, 200],
  ])("%j is answered %i", async (headers, status) => {
    for (const path of ["/v1/models", "/healthz"]) expect(await statusWith(server.url + path, headers)).toBe(status);
  });

  test("a WebSocket from elsewhere is refused", async () => {
    const headers = {
      host: "localhost",
      origin: "https://evil.example",
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    };
    expect(await statusWith(`${server.url}/v1/events`, headers)).toBe(403);
  });
});

test("another address than loopback needs a key from the start", async () => {
  const server = await startTestServer({ KILN_LISTEN: "0.0.0.0:0=native" });
  const url = server.url.replace("0.0.0.0", "127.0.0.1");
  expect((await fetch(`${url}/v1/models`)).status).toBe(401);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const { key } = await server.context.keys.create({ name: "first", role: "admin" });
  expect((await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
  await server.close();
});

describe("with keys", () => {
  let server: TestServer;
  let admin: string;
  let user: string;
  let limited: string;
  beforeAll(async () => {
    server = await startTestServer();
    const refused = await server.call("POST", "/v1/keys", { name: "not first", role: "user" });
    expect(refused.status).toBe(409);
    admin = ((await server.call("POST", "/v1/keys", { name: "admin", role: "admin" })).json as { key: string }).key;
    const make = async (body: object) =>
      ((await server.call("POST", "/v1/keys", body, bearer(admin))).json as { key: string }).key;
    user = await make({ name: "user" });
    limited = await make({ name: "limited", rate_per_minute: 2, quota_pictures_per_day: 100, content_ceiling: 0 });
  });
  afterAll(async () => {
    await server.close();
  });

  /** 0.41 millions of steps x pixels. It does not end while the tests run, so it counts on both sides of midnight. */
  const LONG = { prompt: "[slow]", width: 64, height: 64, steps: 100 };
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });

  test("every form of a key is taken, and a wrong or missing one is 401", async () => {
    const forms = [
      bearer(user),
      { authorization: `Token ${user}` },
      basic(`someone:${user}`),
      basic(`${user}:`),
      { "x-api-key": user },
    ];
    for (const headers of forms) expect((await server.call("GET", "/v1/models", undefined, headers)).status).toBe(200);
    const wrong: Record<string, string>[] = [{}, bearer("kiln_wrong"), basic("a:b"), { "x-api-key": "x" }];
    for (const headers of wrong) {
      const { status, json } = await server.call("GET", "/v1/models", undefined, headers);
      expect({ status, json }).toMatchObject({ status: 401, json: { code: "unauthorized" } });
    }
    expect((await server.call("GET", `/v1/models?token=${user}`)).status).toBe(401);
  });

  test("a key that a browser sends by itself is taken from this server's own pages alone", async () => {
    const { host } = new URL(server.url);
    const send = async (headers: Record<string, string>) =>
      (await server.call("POST", "/v1/models/refresh", undefined, headers)).status;
    const kept = basic(`x:${admin}`);
    expect(await send({ ...kept, origin: `http://${host}` })).toBe(200);
    expect(await send(kept)).toBe(200);
    for (const origin of ["https://evil.example", "null", `http://${host}.evil.example`])
      expect(await send({ ...kept, origin })).toBe(403);
    expect(await send({ ...bearer(admin), origin: "https://evil.example" })).toBe(200);
  });

  test("jobs and pictures are their owner's and the admin's", async () => {
    const { id } = (await server.call("POST", "/v1/jobs", { prompt: "mine" }, bearer(user))).json as JobView;
    expect((await server.call("GET", `/v1/jobs/${id}`, undefined, bearer(limited))).status).toBe(404);
    expect((await server.call("POST", `/v1/jobs/${id}/cancel`, undefined, bearer(limited))).status).toBe(404);
    expect((await server.call("GET", `/v1/jobs/${id}`, undefined, bearer(admin))).status).toBe(200);
    expect((await server.call("GET", "/v1/jobs", undefined, bearer(limited))).json).toEqual({ jobs: [] });
    expect((await server.call("GET", "/v1/keys", undefined, bearer(user))).status).toBe(403);
  });

  test("a rate limit says when to come back", async () => {
    const statuses: number[] = [];
    let retryAfter: string | null = null;
    for (let index = 0; index < 3; index++) {
      const { status, headers } = await server.call("POST", "/v1/jobs", { prompt: "x" }, bearer(limited));
      statuses.push(status);
      retryAfter = headers.get("retry-after");
    }
    expect(statuses).toEqual([202, 202, 429]);
    expect(Number(retryAfter)).toBeGreaterThan(0);
  });

  test("a quota counts what is still to be made", async () => {
    const { key } = (await server.call("POST", "/v1/keys", { name: "three a day", quota_pictures_per_day: 3 }, bearer(admin)))
      .json as { key: string };
    expect((await server.call("POST", "/v1/jobs", { ...LONG, n: 2 }, bearer(key))).status).toBe(202);
    expect(await server.call("POST", "/v1/jobs", { ...LONG, n: 2 }, bearer(key))).toMatchObject({
      status: 429,
      json: { code: "quota_exceeded" },
    });
    expect((await server.call("POST", "/v1/jobs", LONG, bearer(key))).status).toBe(202);
  });

  test("a quota holds against requests that come together", async () => {
    const { key } = (await server.call("POST", "/v1/keys", { name: "crowd", quota_pictures_per_day: 3 }, bearer(admin))).json as {
      key: string;
    };
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => (await server.call("POST", "/v1/jobs", LONG, bearer(key))).status),
    );
    expect(answers.sort()).toEqual([202, 202, 202, 429, 429, 429, 429, 429, 429, 429]);
  });

  test("a quota of steps x pixels counts the same way", async () => {
    const { key } = (
      await server.call("POST", "/v1/keys", { name: "one megapixel step", quota_megapixel_steps_per_day: 1 }, bearer(admin))
    ).json as { key: string };
    const work = { ...LONG, n: 2 };
    expect((await server.call("POST", "/v1/jobs", work, bearer(key))).status).toBe(202);
    const { status, json, headers } = await server.call("POST", "/v1/jobs", work, bearer(key));
    expect({ status, json }).toMatchObject({
      status: 429,
      json: { code: "quota_exceeded", detail: expect.stringContaining("1 million pixels x steps") },
    });
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await server.call("POST", "/v1/jobs", { ...LONG, steps: 20 }, bearer(key))).status).toBe(202);
  });

  test("a revoked key is wrong at once, and secrets are nowhere in the database", async () => {
    const made = (await server.call("POST", "/v1/keys", { name: "gone" }, bearer(admin))).json as { id: string; key: string };
    expect((await server.call("GET", "/v1/models", undefined, bearer(made.key))).status).toBe(200);
    await server.call("DELETE", `/v1/keys/${made.id}`, undefined, bearer(admin));
    expect((await server.call("GET", "/v1/models", undefined, bearer(made.key))).status).toBe(401);
    const listed = JSON.stringify((await server.call("GET", "/v1/keys", undefined, bearer(admin))).json);
    for (const key of [admin, user, limited]) expect(listed).not.toContain(key);
  });
});

test("the data folder says while keys exist, for the door that is open before the database", async () => {
  const server = await startTestServer();
  const marker = new KeysMarker(server.context.settings.KILN_DATA_DIR);
  const { keys } = server.context;
  expect(marker.isSet).toBe(false);
  const { view } = await keys.create({ name: "first", role: "admin" });
  expect(marker.isSet).toBe(true);
  await keys.revoke(view.id);
  expect([await keys.any(), marker.isSet]).toEqual([false, false]);
  await server.close();
});
