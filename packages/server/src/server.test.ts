import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobView } from "./jobs/job-view.ts";
import { startTestServer, type TestServer } from "./testing/start-test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_TEST_ENGINE_STEP_MS: "4" });
});
afterAll(async () => {
  await server.close();
});

async function finished(id: string): Promise<JobView> {
  for (;;) {
    const job = (await server.call("GET", `/v1/jobs/${id}`)).json as JobView;
    if (["completed", "failed", "cancelled"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a request becomes a picture", async () => {
  const created = await server.call("POST", "/v1/jobs", { prompt: "a red fox", seed: 255, n: 2 });
  expect(created.status).toBe(202);
  const { id } = created.json as JobView;
  expect(created.headers.get("location")).toBe(`/v1/jobs/${id}`);
  const job = await finished(id);
  expect(job).toMatchObject({
    status: "completed",
    attempts: 1,
    request: { model: "kiln-test", steps: 4, width: 256, seed: 255 },
  });
  expect(job.images.map((image) => image.seed)).toEqual([255, 256]);
  const picture = await fetch(server.url + job.images[0]?.url);
  expect(picture.headers.get("content-type")).toBe("image/png");
  expect(Buffer.from(await picture.arrayBuffer()).toString("latin1")).toContain("a red fox");
  const thumbnail = await fetch(server.url + job.images[0]?.thumbnail_url);
  expect(thumbnail.headers.get("content-type")).toBe("image/jpeg");
});

test("a wrong field is named", async () => {
  const { status, json, headers } = await server.call("POST", "/v1/jobs", { prompt: "x", width: 100 });
  expect(status).toBe(422);
  expect(headers.get("content-type")).toContain("application/problem+json");
  expect(json).toMatchObject({ code: "invalid_request", field: "width", status: 422 });
});

test("a crash of the engine brings the job back, and a second one sets it aside", async () => {
  const bad = (await server.call("POST", "/v1/jobs", { prompt: "[crash]" })).json as JobView;
  const good = (await server.call("POST", "/v1/jobs", { prompt: "fine", steps: 50 })).json as JobView;
  const failed = await finished(bad.id);
  expect(failed).toMatchObject({ status: "failed", attempts: 2, error: { code: "engine_crashed" } });
  expect(failed.error?.message).toContain("SIGKILL");
  expect(await finished(good.id)).toMatchObject({ status: "completed" });
});

test("an engine that ran out of memory is replaced, and the job has one more try, alone", async () => {
  const before = server.context.supervisor?.pid;
  const { id } = (await server.call("POST", "/v1/jobs", { prompt: "[out of memory]" })).json as JobView;
  expect(await finished(id)).toMatchObject({ status: "failed", attempts: 2, error: { code: "out_of_memory" } });
  expect(server.context.supervisor?.pid).not.toBe(before);
});

test("an error of the request's own fails it at once", async () => {
  const { id } = (await server.call("POST", "/v1/jobs", { prompt: "[fail]" })).json as JobView;
  expect(await finished(id)).toMatchObject({ status: "failed", attempts: 1, error: { code: "numeric" } });
});

test("metrics keep the names that dashboards know", async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  for (const name of [
    "image_generation_requests_total",
    "image_generation_errors_total",
    "image_generation_duration_seconds_bucket",
    "kiln_queue_wait_seconds_bucket",
    "kiln_step_seconds_sum",
  ]) {
    expect(text).toContain(name);
  }
});

test("events are sent until the job ends", async () => {
  const { id } = (await server.call("POST", "/v1/jobs", { prompt: "slow", steps: 50 })).json as JobView;
  const text = await (await fetch(`${server.url}/v1/jobs/${id}/events`)).text();
  expect(text).toMatch(/^event: job\n/);
  expect(text.trim().split("\n\n").at(-1)).toContain('"status":"completed"');
});

test("the document and the health answers are there", async () => {
  const { json } = await server.call("GET", "/openapi.json");
  expect(json).toMatchObject({ openapi: "3.1.0", paths: { "/v1/jobs/{id}": { get: {} } } });
  expect((await server.call("GET", "/healthz")).json).toEqual({ status: "ok" });
  expect((await server.call("GET", "/readyz")).json).toEqual({ status: "ready" });
  expect((await server.call("GET", "/nowhere")).status).toBe(404);
});
