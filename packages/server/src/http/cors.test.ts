import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

const PAGE = "http://localhost:5173";
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=views", KILN_CORS_ORIGINS: PAGE });
});
afterAll(async () => {
  await server.close();
});

test.each(["GET", "POST", "PUT", "PATCH", "DELETE"])(
  "an application's page may %s from the origin that it was given",
  async (method) => {
    const response = await fetch(`${server.url}/api/jobs/1/`, {
      method: "OPTIONS",
      headers: {
        origin: PAGE,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type",
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe(PAGE);
    expect(response.headers.get("access-control-allow-methods")?.split(", ")).toContain(method);
    expect(response.headers.get("access-control-allow-headers")).toBe("authorization,content-type");
  },
);

test("it can read refusals too, and no other page can read anything", async () => {
  const at = async (origin: string, method = "GET") => await fetch(`${server.url}/api/jobs/1/`, { method, headers: { origin } });
  expect((await at(PAGE)).status).toBe(404);
  expect((await at(PAGE)).headers.get("access-control-allow-origin")).toBe(PAGE);
  const refused = await at(PAGE, "POST");
  expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([405, PAGE]);
  expect((await at("https://elsewhere.example")).headers.get("access-control-allow-origin")).toBeNull();
});
