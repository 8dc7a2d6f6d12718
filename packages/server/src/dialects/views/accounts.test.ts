import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningServer, startServer } from "../../server.ts";
import { loadSettings } from "../../settings/load.ts";
import { openSocket } from "../../testing/open-socket.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { Client, register } from "../../testing/views-client.ts";
import { Accounts } from "./accounts.ts";

const log = pino({ level: "silent" });

describe("accounts", () => {
  let server: TestServer;
  let anna: Client;
  beforeAll(async () => {
    server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=views" });
    anna = await register(server, "Anna@example.org");
  });
  afterAll(async () => {
    await server.close();
  });

  test("register, login, me, logout", async () => {
    const nobody = new Client(server);
    const made = await nobody.send("POST", "/api/auth/register", {
      email: "carla@example.org",
      password: "a long password",
      first_name: "Carla",
    });
    const user = { id: expect.any(Number), email: "carla@example.org", username: "carla", first_name: "Carla", last_name: "" };
    const token = expect.stringMatching(/^[0-9a-f]{40}$/);
    expect([made.status, made.json]).toEqual([201, { message: expect.any(String), user, token }]);

    const login = await nobody.send("POST", "/api/auth/login", { email: "CARLA@example.org", password: "a long password" });
    expect([login.status, login.json]).toEqual([200, { message: expect.any(String), user, token }]);
    const carla = new Client(server, (login.json as { token: string }).token);
    const me = await carla.send("GET", "/api/auth/me");
    expect(me).toMatchObject({ status: 200, json: { email: "carla@example.org", user: { email: "carla@example.org" } } });

    for (const body of [
      { email: "carla@example.org", password: "another password" },
      { email: "nobody@example.org", password: "a long password" },
    ]) {
      const wrong = await nobody.send("POST", "/api/auth/login", body);
      expect([wrong.status, wrong.json]).toEqual([401, { error: "Invalid credentials" }]);
    }
    expect((await carla.send("POST", "/api/auth/logout")).status).toBe(200);
    // On loopback without keys an unknown token counts as none, and whoever sits there has a user too.
    expect((await carla.send("GET", "/api/auth/me")).json).toMatchObject({ username: "local" });
  });

  test("what comes without a key is small", async () => {
    const email = `${"a".repeat(100_000)}@example.org`;
    const nobody = new Client(server);
    for (const path of ["/api/auth/login", "/api/auth/register/"])
      expect((await nobody.send("POST", path, { email, password: "a long password" })).status).toBe(413);
    const form = await fetch(`${server.url}/api/auth/login`, { method: "POST", body: new URLSearchParams({ email }) });
    expect(form.status).toBe(413);
  });

  test.each([
    [{}, ["email", "password"]],
    [{ email: "no address", password: "long enough" }, ["email"]],
    [{ email: "d@example.org", password: "short" }, ["password"]],
    [{ email: "d@example.org", password: 12345678 }, ["password"]],
    [{ email: ["d@example.org"], password: {} }, ["email", "password"]],
    [{ email: "anna@example.org", password: "long enough" }, ["email"]],
    [{ email: "d@example.org", password: "long enough", password_confirm: "long enough?" }, ["password_confirm"]],
    [{ email: "d@example.org", password: "long enough", username: 5 }, ["username"]],
    [{ email: "d\0@example.org", password: "long enough" }, ["email"]],
  ])("registering with %j is refused by field", async (body, fields) => {
    const { status, json } = await new Client(server).send("POST", "/api/auth/register", body);
    expect(status).toBe(400);
    expect(Object.keys(json as object).sort()).toEqual(fields);
    for (const messages of Object.values(json as object)) expect(messages).toEqual([expect.any(String)]);
  });

  test("of two who register one address at the same time, one gets it", async () => {
    const body = { email: "race@example.org", password: "long enough" };
    const answers = await Promise.all([1, 2, 3].map(() => new Client(server).send("POST", "/api/auth/register", body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 400, 400]);
  });

  test("too many wrong passwords have to wait, the right one too", async () => {
    const send = async (password: string) =>
      (await new Client(server).send("POST", "/api/auth/login", { email: "race@example.org", password })).status;
    for (let attempt = 0; attempt < 10; attempt++) expect(await send("wrong password")).toBe(401);
    expect(await send("long enough")).toBe(429);
  });

  test("the wait outlives the service, holds for guesses at the same time, and one right password before it ends the count", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "kiln-accounts-"));
    const settings = { KILN_LISTEN: "127.0.0.1:0=views" };
    const email = "dora@example.org";
    try {
      const first = await startServer(loadSettings({ ...settings, KILN_ENGINE: "test", KILN_DATA_DIR: dataDir }, dataDir), {
        log,
      });
      const login = async (at: RunningServer, password: string) => {
        const body = JSON.stringify({ email, password });
        const headers = { "content-type": "application/json" };
        return (await fetch(`${at.listeners[0]?.url}/api/auth/login`, { method: "POST", headers, body })).status;
      };
      try {
        const made = await fetch(`${first.listeners[0]?.url}/api/auth/register`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ email, password: "a long password" }),
        });
        expect(made.status).toBe(201);
        for (let attempt = 0; attempt < 9; attempt++) expect(await login(first, "wrong password")).toBe(401);
        expect(await login(first, "a long password")).toBe(200);
        const guesses = await Promise.all(Array.from({ length: 14 }, () => login(first, "wrong password")));
        expect(guesses.filter((status) => status === 401)).toHaveLength(10);
        expect(guesses.filter((status) => status === 429)).toHaveLength(4);
      } finally {
        await first.close();
      }
      const second = await startServer(loadSettings({ ...settings, KILN_ENGINE: "test", KILN_DATA_DIR: dataDir }, dataDir), {
        log,
      });
      try {
        expect(await login(second, "a long password")).toBe(429);
      } finally {
        await second.close();
      }
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  test("of too many who come at once the last are asked to come again", async () => {
    const accounts = new Accounts(server.context.documents, server.context.loginAttempts);
    const logins = Array.from({ length: 17 }, async (_, at) => await accounts.login(`flood${at}@example.org`, "a password"));
    const codes = (await Promise.allSettled(logins)).map((each) => each.status === "rejected" && each.reason.message);
    expect(codes.slice(0, -1)).toEqual(Array.from({ length: 16 }, () => "Invalid credentials"));
    expect(codes.at(-1)).toContain("at once");
  });

  test("once a key exists, a token or a key is needed, and registering needs an admin", async () => {
    const { key, view } = await server.context.keys.create({ name: "test", role: "admin" });
    try {
      const nobody = new Client(server);
      for (const client of [nobody, new Client(server, "0".repeat(40)), new Client(server, "placeholder")])
        expect(await client.send("GET", "/api/jobs/")).toEqual({
          status: 401,
          json: { detail: expect.any(String), error: expect.any(String) },
        });
      expect((await nobody.send("GET", "/api/auth/me")).status).toBe(401);
      expect((await anna.send("GET", "/api/auth/me")).json).toMatchObject({ email: "Anna@example.org" });
      expect((await anna.send("GET", "/v1/jobs")).status).toBe(401);
      expect((await nobody.send("POST", "/api/auth/register", { email: "e@example.org", password: "long enough" })).status).toBe(
        401,
      );
      const admin = new Client(server, key);
      expect((await admin.send("POST", "/api/auth/register", { email: "e@example.org", password: "long enough" })).status).toBe(
        201,
      );
      expect((await nobody.send("POST", "/api/auth/login", { email: "e@example.org", password: "long enough" })).status).toBe(
        200,
      );
      const job = await admin.create();
      expect((await admin.ended(job.id)).status).toBe("completed");
      const { status } = await openSocket(`${server.url}/ws/jobs/?token=placeholder`);
      expect(status).toBe(401);
    } finally {
      await server.context.keys.revoke(view.id);
    }
  });
});

test("where the operator allows it, anybody registers, although a key exists", async () => {
  const server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=views", KILN_VIEWS_REGISTRATION: "true" });
  try {
    await server.context.keys.create({ name: "test", role: "admin" });
    const emil = await register(server, "emil@example.org");
    expect(await emil.send("GET", "/api/jobs/")).toMatchObject({ status: 200, json: { count: 0 } });
    expect((await new Client(server).send("GET", "/api/jobs/")).status).toBe(401);
  } finally {
    await server.close();
  }
});
