import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestServer } from "../../testing/start-test-server.ts";
import { Client, register } from "../../testing/views-client.ts";
import { startViewsServer } from "../../testing/views-server.ts";

let server: TestServer;
let anna: Client;
let ben: Client;
beforeAll(async () => {
  server = await startViewsServer();
  anna = await register(server, "Anna@example.org");
  ben = await register(server, "ben@example.org");
});
afterAll(async () => {
  await server.close();
});

test("select, favourite, change, remove", async () => {
  const { id } = await anna.create({ message: "the one" });
  await anna.ended(id);
  const select = async (body: object) => await anna.send("POST", `/api/jobs/${id}/select/`, body);
  expect(await select({ selection: "simulation2" })).toMatchObject({
    status: 200,
    json: { selected_simulation: "simulation2" },
  });
  for (const body of [{}, { selection: "simulation3" }, { selection: 1 }, { selection: null }])
    expect(await select(body)).toEqual({ status: 400, json: { selection: [expect.any(String)] } });

  expect(await anna.send("POST", `/api/jobs/${id}/favorite/`)).toMatchObject({ status: 200, json: { is_favorite: true } });
  const favorites = await anna.send("GET", "/api/jobs/favorites/");
  expect(favorites.json).toEqual([expect.objectContaining({ id, is_favorite: true })]);
  expect((await anna.list("?favorites=true")).results.map((job) => job.id)).toEqual([id]);
  expect(await anna.send("POST", `/api/jobs/${id}/favorite/`)).toMatchObject({ json: { is_favorite: false } });
  expect((await anna.send("GET", "/api/jobs/favorites/")).json).toEqual([]);

  for (const method of ["PATCH", "PUT"])
    expect(await anna.send(method, `/api/jobs/${id}/`, { message: `by ${method}`, status: "failed" })).toMatchObject({
      status: 200,
      json: { message: `by ${method}`, status: "completed", selected_simulation: "simulation2" },
    });
  for (const nothing of ["", null]) {
    expect(await anna.send("PATCH", `/api/jobs/${id}/`, { message: nothing })).toMatchObject({ json: { message: "" } });
    expect(await anna.send("PATCH", `/api/jobs/${id}/`, { message: "by PUT" })).toMatchObject({ json: { message: "by PUT" } });
  }
  expect((await anna.list("?search=by+put")).results.map((job) => job.id)).toEqual([id]);
  for (const body of [
    { region: 5 },
    { scenario: [] },
    { message: {} },
    { is_favorite: "perhaps" },
    { selected_simulation: "both" },
  ])
    expect(await anna.send("PATCH", `/api/jobs/${id}/`, body)).toEqual({
      status: 400,
      json: { [Object.keys(body)[0] ?? ""]: [expect.any(String)] },
    });

  const { simulation1_url, original_image_url } = await anna.get(id);
  expect((await anna.send("DELETE", `/api/jobs/${id}/`)).status).toBe(204);
  expect((await anna.send("GET", `/api/jobs/${id}/`)).status).toBe(404);
  for (const url of [simulation1_url, original_image_url]) expect((await fetch(url ?? "")).status).toBe(404);
});

test("a user sees their own jobs alone, and pictures open with the job's own key alone", async () => {
  const job = await ben.create();
  const done = await ben.ended(job.id);
  for (const client of [anna, new Client(server)]) {
    for (const [method, path] of [
      ["GET", ""],
      ["PATCH", ""],
      ["DELETE", ""],
      ["POST", "favorite/"],
    ] as const)
      expect(await client.send(method, `/api/jobs/${job.id}/${path}`, method === "GET" ? undefined : {})).toMatchObject({
        status: 404,
        json: { detail: "Not found." },
      });
    expect((await client.list()).results.map(({ id }) => id)).not.toContain(job.id);
  }
  const url = new URL(done.simulation1_url ?? "");
  for (const key of ["", "0".repeat(32), "x"]) {
    url.searchParams.set("key", key);
    expect((await fetch(url)).status).toBe(404);
  }
  for (const id of ["0", "-1", "1e3", "99999999999999999999", "x", "%20"])
    expect((await ben.send("GET", `/api/jobs/${id}/`)).status).toBe(404);
});
