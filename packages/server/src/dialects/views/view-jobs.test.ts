import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { lookAt } from "../../testing/look-at.ts";
import type { TestServer } from "../../testing/start-test-server.ts";
import { bytesAt, type Client, register } from "../../testing/views-client.ts";
import { keysUnder, startViewsServer } from "../../testing/views-server.ts";
import { ViewJobs } from "./view-jobs.ts";

let server: TestServer;
let anna: Client;
let ben: Client;
beforeAll(async () => {
  // Slow enough that a job can be met while it is drawn; nothing below depends on whether it is.
  server = await startViewsServer({ KILN_TEST_ENGINE_STEP_MS: "100" });
  anna = await register(server, "Anna@example.org");
  ben = await register(server, "ben@example.org");
});
afterAll(async () => {
  await server.close();
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Until nothing is drawn and nothing waits. */
async function idle(): Promise<void> {
  for (;;) {
    const { running, waiting } = await server.context.queueCounts();
    if (running + waiting === 0) return;
    await sleep(20);
  }
}

test("a job that is removed leaves neither photo nor pictures, also while it is drawn", async () => {
  const photosKept = async () => await keysUnder(server, "originals/", "uploads/");
  const before = await photosKept();
  const drawn = await anna.create();
  await anna.ended(drawn.id);
  const open = await anna.create();
  for (const { id } of [drawn, open]) expect((await anna.send("DELETE", `/api/jobs/${id}/`)).status).toBe(204);
  const left = async () => await keysUnder(server, `simulations/${drawn.id}_`, `simulations/${open.id}_`);
  await idle();
  while ((await left()).length > 0) await sleep(20);
  expect(await photosKept()).toEqual(before);
});

test("old jobs go with their photos and pictures, favourites stay, also those that were drawn anew", async () => {
  const [old, kept] = [await anna.create({ message: "old" }), await anna.create({ message: "kept" })];
  for (const { id } of [old, kept]) await anna.ended(id);
  await anna.send("POST", `/api/jobs/${kept.id}/favorite/`);
  await server.call("POST", "/v1/views/process", { jobs: [kept.id] });
  const url = (await anna.ended(kept.id)).simulation1_url;
  const { json } = await server.call("GET", "/v1/jobs?limit=2&search=kept");
  expect(json).toMatchObject({ jobs: [{ favorite: true }, { favorite: true }] });

  const viewJobs = new ViewJobs(server.context);
  await viewJobs.expire(new Date(old.created_at));
  expect((await anna.send("GET", `/api/jobs/${old.id}/`)).status).toBe(200);
  await viewJobs.expire(new Date(Date.parse(kept.created_at) + 1));
  expect((await anna.send("GET", `/api/jobs/${old.id}/`)).status).toBe(404);
  expect((await fetch(old.original_image_url)).status).toBe(404);
  expect(await anna.get(kept.id)).toMatchObject({ status: "completed", is_favorite: true });
  for (const address of [url, kept.original_image_url]) expect((await bytesAt(address)).length).toBeGreaterThan(100);
});

test("an admin has jobs of any user processed: what has ended is drawn anew, from what it says now", async () => {
  const [first, second] = [await ben.create({ message: "one" }), await anna.create({ message: "two" })];
  const drawn = await ben.ended(first.id);
  await anna.ended(second.id);
  await ben.send("PATCH", `/api/jobs/${first.id}/`, { scenario: "projection-level-3", message: "another" });
  const process = async (jobs: unknown) => await server.call("POST", "/v1/views/process", { jobs });
  expect(await process([first.id, second.id, first.id])).toMatchObject({
    status: 202,
    json: {
      jobs: [
        { id: first.id, status: expect.stringMatching(/^(queued|processing|completed)$/) },
        { id: second.id, status: expect.stringMatching(/^(queued|processing|completed)$/) },
      ],
    },
  });
  const again = await ben.ended(first.id);
  expect(again).toMatchObject({ status: "completed", message: "another", original_image_url: drawn.original_image_url });
  expect(again.simulation1_url).not.toBe(drawn.simulation1_url);
  await anna.ended(second.id);
  const { json } = await server.call("GET", "/v1/jobs?limit=200&search=another");
  const [side, rear] = (json as { jobs: { request: Record<string, unknown> }[] }).jobs.map(({ request }) => request);
  expect(rear).toMatchObject({ prompt: "studio photograph, pronounced change, seen from the back, same person, another" });
  expect(side).toMatchObject({ prompt: "studio photograph, pronounced change, seen in profile, same person, another" });
  expect(rear?.strength).toBe(0.65);
  expect(await lookAt(await bytesAt(again.simulation1_url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });

  for (const jobs of [[], [0], ["1"], [1.5], "all", null, Array(101).fill(first.id)])
    expect(await process(jobs)).toMatchObject({ status: 422, json: { code: "invalid_request", detail: expect.any(String) } });
  expect(await process([first.id, 999_999])).toMatchObject({
    status: 404,
    json: { code: "not_found", detail: "There is no job 999999." },
  });
});

test("a job that fails is tried once more after 30 s, and then it is failed", async () => {
  const { id } = await anna.create({ scenario: "always-fails" });
  const tries = async () => {
    const { json } = await server.call("GET", "/v1/jobs?limit=200&search=%5Bfail%5D");
    const keys = (json as { jobs: { status: string; request: { output: { key: string } } }[] }).jobs;
    return keys.filter(({ request, status }) => request.output.key.startsWith(`simulations/${id}_`) && status === "failed")
      .length;
  };
  while ((await tries()) < 2) await sleep(20);
  expect(await anna.get(id)).toMatchObject({ status: "queued", error: null });
  const now = Date.now();
  vi.spyOn(Date, "now").mockImplementation(() => now + 31_000);
  await anna.get(id);
  const job = await anna.ended(id);
  expect(job).toMatchObject({ status: "failed", error: "The UNet's output holds NaN.", simulation1_url: null });
  expect(await tries()).toBe(4);
  expect((await anna.list("?status=failed")).results.map((failed) => failed.id)).toEqual([id]);

  // Processed by hand it has two tries again; the rows of the last two have gone.
  vi.restoreAllMocks();
  expect((await server.call("POST", "/v1/views/process", { jobs: [id] })).status).toBe(202);
  while ((await tries()) < 4) await sleep(20);
  expect(await anna.get(id)).toMatchObject({ status: "queued", error: null });
});

test("a record that a process left behind while it accepted a job ends as failed", async () => {
  const { documents } = server.context;
  const { id } = await anna.create();
  await anna.ended(id);
  const whole = await documents.get("views_jobs", id);
  const half = await documents.insert("views_jobs", whole?.owner ?? "", {
    ...whole?.data,
    parts: null,
    open: true,
    status: "queued",
  });
  expect(await anna.get(half.id)).toMatchObject({ status: "queued" });
  const now = Date.now();
  vi.spyOn(Date, "now").mockImplementation(() => now + 61_000);
  expect(await anna.get(half.id)).toMatchObject({ status: "failed", error: expect.stringContaining("send it again") });
  expect((await anna.send("DELETE", `/api/jobs/${half.id}/`)).status).toBe(204);
});
