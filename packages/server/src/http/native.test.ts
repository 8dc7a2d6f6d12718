import { createRequire } from "node:module";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobView } from "../jobs/job-view.ts";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_SLOTS: "2", KILN_LOOKAHEAD: "0", KILN_TEST_ENGINE_STEP_MS: "5", KILN_MAX_WAITING: "40" });
});
afterAll(async () => {
  await server.close();
});

const SMALL = { width: 64, height: 64, steps: 1 };

async function create(request: object, headers: Record<string, string> = {}): Promise<JobView> {
  const { status, json } = await server.call("POST", "/v1/jobs", { ...SMALL, ...request }, headers);
  expect({ status, json }).toMatchObject({ status: 202, json: { id: expect.any(String) } });
  return json as JobView;
}

async function finished(id: string): Promise<JobView> {
  for (;;) {
    const job = (await server.call("GET", `/v1/jobs/${id}`)).json as JobView;
    if (["completed", "failed", "cancelled"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("an idempotency key gives the same job, also when both come at once; another body is refused", async () => {
  const headers = { "idempotency-key": "once" };
  const [one, two] = await Promise.all([create({ prompt: "same" }, headers), create({ prompt: "same" }, headers)]);
  expect(one.id).toBe(two.id);
  expect((await create({ prompt: "same" }, headers)).id).toBe(one.id);
  const other = await server.call("POST", "/v1/jobs", { prompt: "other" }, headers);
  expect(other).toMatchObject({ status: 422, json: { code: "idempotency_mismatch" } });
});

test("a batch is all or none", async () => {
  const bad = await server.call("POST", "/v1/jobs/batch", { requests: [{ prompt: "in a bad batch" }, { prompt: "" }] });
  expect(bad).toMatchObject({ status: 422, json: { field: "prompt" } });
  const listed = await server.call("GET", "/v1/jobs?search=in%20a%20bad%20batch");
  expect(listed.json).toEqual({ jobs: [] });
  const good = await server.call("POST", "/v1/jobs/batch", {
    requests: [
      { prompt: "a", ...SMALL },
      { prompt: "b", ...SMALL },
    ],
  });
  expect((good.json as { jobs: JobView[] }).jobs.map(({ request }) => request.prompt)).toEqual(["a", "b"]);
});

test("a running job and a waiting one can be cancelled, and the end is said once", async () => {
  const running = await Promise.all([1, 2].map((n) => create({ prompt: `[slow] ${n}`, steps: 150 })));
  const waiting = await create({ prompt: "waits" });
  for (;;) {
    const job = (await server.call("GET", `/v1/jobs/${running[0]?.id}`)).json as JobView;
    if (job.status === "running") break;
  }
  expect((await server.call("POST", `/v1/jobs/${waiting.id}/cancel`)).json).toMatchObject({ status: "cancelled" });
  for (const { id } of running) await server.call("DELETE", `/v1/jobs/${id}`);
  for (const { id } of running)
    expect(await finished(id)).toMatchObject({ status: "cancelled", error: { code: "cancelled" }, images: [] });
  expect((await server.call("GET", `/v1/jobs/${waiting.id}/result`)).status).toBe(409);
});

test("a deadline that passes fails the job, waiting or running", async () => {
  const job = await create({ prompt: "[slow] late", steps: 150, deadline_seconds: 0.2 });
  expect(await finished(job.id)).toMatchObject({ status: "failed", error: { code: "deadline_exceeded" } });
});

test("history: search, favourites, pages, and removal with the pictures", async () => {
  const jobs: JobView[] = [];
  for (let index = 0; index < 5; index++) jobs.push(await create({ prompt: `Needle 100% ${index}` }));
  for (const { id } of jobs) await finished(id);
  const first = (await server.call("GET", "/v1/jobs?search=needle%20100%25&limit=3")).json as { jobs: JobView[]; next?: string };
  expect(first.jobs).toHaveLength(3);
  const second = (await server.call("GET", `/v1/jobs?search=needle%20100%25&limit=3&before=${first.next}`)).json as {
    jobs: JobView[];
    next?: string;
  };
  expect([...first.jobs, ...second.jobs].map(({ id }) => id)).toEqual(jobs.map(({ id }) => id).reverse());
  expect(second.next).toBeUndefined();
  const [chosen] = first.jobs;
  expect((await server.call("PATCH", `/v1/jobs/${chosen?.id}`, { favorite: true, selected: "0" })).json).toMatchObject({
    favorite: true,
    selected: "0",
  });
  expect((await server.call("GET", "/v1/jobs?favorite=true")).json).toMatchObject({ jobs: [{ id: chosen?.id }] });
  await server.call("DELETE", `/v1/jobs/${chosen?.id}`);
  expect((await server.call("GET", `/v1/jobs/${chosen?.id}`)).status).toBe(404);
  expect((await fetch(server.url + chosen?.images[0]?.url)).status).toBe(404);
});

test("jobs are filtered by time, model and face", async () => {
  const { id } = await finished((await create({ prompt: "filtered", ...SMALL })).id);
  const found = async (query: string) => {
    const { status, json } = await server.call("GET", `/v1/jobs?search=filtered&${query}`);
    return status === 200 ? (json as { jobs: JobView[] }).jobs.map((job) => job.id) : status;
  };
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  for (const query of ["model=kiln-test", "dialect=native", "from=2020-01-01", `from=2020-01-01T00:00:00&to=${soon}`])
    expect([query, await found(query)]).toEqual([query, [id]]);
  for (const query of ["model=other", "dialect=depth", "to=2020-01-01", `from=${soon}`])
    expect([query, await found(query)]).toEqual([query, []]);
  const yearZero = Buffer.from(`${Date.parse("0000-01-01T00:00:00Z")}|${id}`).toString("base64url");
  for (const query of [
    "from=yesterday",
    "to=2020-13-01",
    "from=0000-02-29T20:29:37Z",
    "to=9999-12-31",
    `before=${yearZero}`,
    "status=done",
    "limit=0",
    "limit=201",
    "favorite=perhaps",
  ])
    expect([query, await found(query)]).toEqual([query, 422]);
});

test("workload units count LoRAs and ControlNets", async () => {
  const units = async (query: string) =>
    ((await server.call("GET", `/v1/workload?width=1024&height=1024&steps=30&${query}`)).json as { workload: number }).workload;
  expect(await units("guidance_scale=1")).toBe(100);
  expect(await units("guidance_scale=7.5")).toBe(200);
  expect(await units("guidance_scale=1&controls=1&loras=5")).toBe(160);
  expect((await server.call("GET", "/v1/workload?controls=-1")).status).toBe(422);
});

test("an upload is looked at and can be referred to; what is no picture is refused", async () => {
  const png = await sharp({ create: { width: 40, height: 30, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  const sent = await fetch(`${server.url}/v1/uploads`, {
    method: "POST",
    body: new Uint8Array(png),
    headers: { "content-type": "image/png" },
  });
  const upload = (await sent.json()) as { id: string };
  expect(upload).toMatchObject({ width: 40, height: 30 });
  const form = new FormData();
  form.append("file", new Blob([new Uint8Array(png)]), "x.png");
  expect((await fetch(`${server.url}/v1/uploads`, { method: "POST", body: form })).status).toBe(201);
  const job = await finished((await create({ prompt: "from it", image: `upload:${upload.id}` })).id);
  expect(job.request).toMatchObject({ image: `upload:${upload.id}`, strength: 0.75 });
  const base64 = await finished(
    (await create({ prompt: "from it", image: `data:image/png;base64,${png.toString("base64")}` })).id,
  );
  expect(base64.request.image).toMatch(/^upload:up_/);
  for (const image of [
    "upload:up_nothing",
    "image:img_nothing",
    "aGVsbG8gd29ybGQsIGhlbGxv",
    "not base64 at all!",
    "<svg onload=alert(1)>",
  ]) {
    expect(await server.call("POST", "/v1/jobs", { prompt: "x", image })).toMatchObject({
      status: 422,
      json: { code: "picture_invalid", field: "image" },
    });
  }
  const gif = Buffer.from("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=", "base64");
  expect(
    (
      await fetch(`${server.url}/v1/uploads`, {
        method: "POST",
        body: new Uint8Array(gif),
        headers: { "content-type": "image/png" },
      })
    ).status,
  ).toBe(422);
});

test("wrong types in every field are refused by name, never with a 5xx", async () => {
  const fields = [
    "prompt",
    "negative_prompt",
    "model",
    "width",
    "height",
    "steps",
    "guidance_scale",
    "scheduler",
    "seed",
    "n",
    "clip_skip",
    "image",
    "strength",
    "mask",
    "controls",
    "loras",
    "refiner",
    "hires",
    "priority",
    "deadline_seconds",
    "webhook",
    "output",
    "content_ceiling",
    "subject_id",
    "tags",
  ];
  const values = [-1, 1e308, "\0", "\ud800", {}, [], [[]], true, "x".repeat(20_001), { $gt: "" }, "18446744073709551616"];
  for (const field of fields) {
    for (const value of values) {
      const { status, json } = await server.call("POST", "/v1/jobs", { prompt: "x", ...SMALL, [field]: value });
      expect([202, 400, 422, 429], `${field} = ${JSON.stringify(value)?.slice(0, 40)}: ${JSON.stringify(json)}`).toContain(
        status,
      );
    }
  }
});

test.each([
  [{ width: 5000 }, "width: must be at most 2048."],
  [{ width: 100 }, "width: must be a multiple of 8."],
  [{ steps: 0 }, "steps: must be at least 1."],
  [{ steps: 1.5 }, "steps: must be a whole number."],
  [{ prompt: undefined }, "prompt: is missing, and must be text."],
  [{ prompt: "" }, "prompt: must not be empty."],
  [{ prompt: "x".repeat(10_001) }, "prompt: must have at most 10000 characters."],
  [{ priority: "soon" }, "priority: must be one of urgent, high, normal."],
  [{ seed: -1 }, "seed: must be at least 0."],
  [{ tags: Array(33).fill("x") }, "tags: must have at most 32 entries."],
  [{ deadline_seconds: 0 }, "deadline_seconds: must be more than 0."],
  [{ preview: "yes" }, "preview: must be true or false."],
])("%j is refused in words that name the limit", async (fields, detail) => {
  const { status, json } = await server.call("POST", "/v1/jobs", { prompt: "x", ...fields });
  expect({ status, json }).toMatchObject({ status: 422, json: { detail, field: detail.split(":")[0] } });
});

test("bodies that are no requests are refused as such", async () => {
  const post = async (body: string, type = "application/json") =>
    (await fetch(`${server.url}/v1/jobs`, { method: "POST", body, headers: { "content-type": type } })).status;
  expect(await post("{")).toBe(400);
  expect(await post("")).toBe(422);
  expect(await post("[]")).toBe(422);
  expect(await post("null")).toBe(422);
  expect(await post("x", "text/plain")).toBe(415);
  expect(await post('{"prompt":"x","__proto__":{"admin":true}}')).toBe(400);
  expect(await post(`${"[".repeat(100_000)}${"]".repeat(100_000)}`)).toBe(400);
  for (const path of [
    "/v1/jobs/%00",
    "/v1/images/%00",
    "/v1/jobs?search=%00",
    "/v1/jobs?before=!!",
    "/v1/models/%00",
    "/v1/jobs/a%2f..%2fb",
  ]) {
    expect([400, 404, 422]).toContain((await server.call("GET", path)).status);
  }
});

test("the OpenAPI document is whole: every reference and every operation's answer", async () => {
  const document = (await server.call("GET", "/openapi.json")).json as {
    paths: Record<string, Record<string, { operationId: string; responses: object }>>;
  };
  const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId));
  expect(new Set(ids).size).toBe(ids.length);
  expect(JSON.stringify(document.paths["/v1/jobs"])).toContain("guidance_scale");
  expect(JSON.stringify(document.paths["/v1/jobs/batch"])).toContain("Idempotency-Key");
  expect(JSON.stringify(document.paths["/v1/jobs/{id}/events"])).toContain("Last-Event-ID");
});

test("a job's events come as Server-Sent Events, and a reader who knows the end is not told again", async () => {
  // It waits until its reader is there.
  const before = await Promise.all([1, 2].map((n) => create({ prompt: `[slow] before ${n}`, steps: 150 })));
  const { id } = await create({ prompt: "streamed", steps: 2 });
  const events = async (headers: Record<string, string> = {}) => {
    const answer = await fetch(`${server.url}/v1/jobs/${id}/events`, { headers });
    for (const job of before) await server.call("POST", `/v1/jobs/${job.id}/cancel`);
    const blocks = (await answer.text()).split("\n\n").filter((block) => block.startsWith("event: "));
    const field = (block: string, name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    return {
      status: answer.status,
      type: answer.headers.get("content-type"),
      seen: blocks.map((block) => ({
        event: field(block, "event"),
        id: field(block, "id"),
        data: JSON.parse(field(block, "data") ?? "null") as Record<string, unknown>,
      })),
    };
  };
  const { status, type, seen } = await events();
  expect({ status, type }).toEqual({ status: 200, type: "text/event-stream" });
  expect(seen[0]).toMatchObject({ event: "job", data: { id } });
  expect(seen.find(({ event }) => event === "progress")?.data).toMatchObject({ job_id: id, total_steps: 2 });
  const last = seen.at(-1);
  expect(last).toMatchObject({ event: "job", id: expect.any(String), data: { id, status: "completed" } });
  expect(await events({ "last-event-id": last?.id ?? "" })).toMatchObject({ status: 204, seen: [] });
  const again = await events({ "last-event-id": seen[0]?.id ?? "" });
  expect(again.seen).toMatchObject([{ event: "job", id: last?.id, data: { status: "completed" } }]);
});

test("the WebSocket sends the same messages", async () => {
  const { WebSocket } = createRequire(import.meta.url)("ws") as typeof import("ws");
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/events`);
  const seen: { event: string; data: { id?: string; job_id?: string; status?: string } }[] = [];
  socket.on("message", (text: Buffer) => seen.push(JSON.parse(text.toString()) as (typeof seen)[number]));
  await new Promise((resolve) => socket.once("open", resolve));
  const { id } = await finished((await create({ prompt: "watched", steps: 3 })).id);
  const own = () => seen.filter(({ data }) => data.id === id || data.job_id === id);
  await expect.poll(() => own().at(-1)?.data.status).toBe("completed");
  socket.close();
  const [first, second] = own();
  // Its acceptance is no news; the record may already say more than the event it is read for.
  expect(first).toMatchObject({ event: "job", data: { status: expect.stringMatching(/^(running|completed)$/) } });
  expect(second?.event).toBe("progress");
});
