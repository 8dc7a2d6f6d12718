import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FULL_REQUEST, generate } from "../../testing/queue-client.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

const TIERS = [
  { below: 30, template: "distant, {prompt}" },
  { below: 60, template: "friendly, {prompt}" },
  { below: 85, template: "close, {prompt}, {context}" },
  { below: 101, template: "devoted, {prompt}" },
];

/** A queue listener whose operator has these presets. */
async function startWith(presets: object): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "kiln-queue-"));
  writeFileSync(join(dataDir, "presets.json"), JSON.stringify(presets));
  return await startTestServer({ KILN_LISTEN: "127.0.0.1:0=queue" }, dataDir);
}

let server: TestServer;
beforeAll(async () => {
  server = await startWith({ tiers: TIERS, negative_prompt: "watermark" });
});
afterAll(async () => {
  await server.close();
});

async function requestOf(id: string): Promise<Record<string, unknown>> {
  const { json } = await server.call("GET", `/v1/jobs/${id}`);
  return (json as { request: Record<string, unknown> }).request;
}

test("every field arrives", async () => {
  const request = await requestOf(await generate(server.url, FULL_REQUEST));
  expect(request).toMatchObject({
    prompt: "close, portrait in a garden, they met at the market",
    negative_prompt: "blurry",
    steps: 25,
    guidance_scale: 6.5,
    scheduler: "dpmpp_2m",
    priority: "urgent",
    content_ceiling: 20,
    subject_id: "aurora-7",
    user: "42",
    output: { format: "jpeg", quality: 95 },
  });
});

test("what is left out comes from the model and the operator", async () => {
  const request = await requestOf(await generate(server.url, { girl_id: "a", user_id: 1, prompt: "x" }));
  expect(request).toMatchObject({
    prompt: "friendly, x",
    negative_prompt: "watermark",
    steps: 4,
    width: 256,
    content_ceiling: 50,
    priority: "normal",
  });
});

test.each([
  [0, "distant, x"],
  [29, "distant, x"],
  [30, "friendly, x"],
  [60, "close, x, "],
  [85, "devoted, x"],
  [100, "devoted, x"],
])("affection level %i selects its template", async (affection_level, prompt) => {
  const request = await requestOf(await generate(server.url, { girl_id: "a", user_id: 1, prompt: "x", affection_level }));
  expect(request.prompt).toBe(prompt);
});

test("looser forms are taken: subject_id, null, another priority, unknown fields, numbers as text", async () => {
  const request = await requestOf(
    await generate(server.url, {
      subject_id: "b_2",
      user_id: "7",
      prompt: "x",
      negative_prompt: null,
      context: null,
      priority: "whenever",
      num_inference_steps: "30",
      high_quality: "false",
      style: "anime",
    }),
  );
  expect(request).toMatchObject({ subject_id: "b_2", user: "7", priority: "normal", steps: 30 });
});

test.each([
  ["urgent", "urgent"],
  ["high", "high"],
  ["normal", "normal"],
  ["whenever", "normal"],
  ["URGENT", "normal"],
  [1, "normal"],
  [null, "normal"],
  [["urgent"], "normal"],
])("the priority %j is %s", async (given, priority) => {
  const id = await generate(server.url, { girl_id: "a", user_id: 1, prompt: "x", priority: given });
  expect(await requestOf(id)).toMatchObject({ priority });
});

test.each([
  [{}, "girl_id"],
  [{ girl_id: "../x" }, "girl_id"],
  [{ girl_id: "..", subject_id: "b" }, "girl_id"],
  [{ girl_id: "a/b" }, "girl_id"],
  [{ girl_id: "女" }, "girl_id"],
  [{ girl_id: "x".repeat(101) }, "girl_id"],
  [{ user_id: 1e300 }, "user_id"],
  [{ user_id: 1.5 }, "user_id"],
  [{ user_id: true }, "user_id"],
  [{ prompt: { text: ["x"] } }, "prompt"],
  [{ girl_id: 5 }, "girl_id"],
  [{ girl_id: "" }, "girl_id"],
  [{ user_id: "many" }, "user_id"],
  [{ user_id: null }, "user_id"],
  [{ prompt: "" }, "prompt"],
  [{ prompt: "x".repeat(10_001) }, "prompt"],
  [{ affection_level: 101 }, "affection_level"],
  [{ nsfw_level: -1 }, "nsfw_level"],
  [{ nsfw_level: 1.5 }, "nsfw_level"],
  [{ num_inference_steps: 19 }, "num_inference_steps"],
  [{ num_inference_steps: 51 }, "num_inference_steps"],
  [{ guidance_scale: 4.9 }, "guidance_scale"],
  [{ guidance_scale: 15.1 }, "guidance_scale"],
  [{ high_quality: "very" }, "high_quality"],
])("%j is refused by its field", async (change, field) => {
  const whole: Record<string, unknown> = { girl_id: "a", user_id: 1, prompt: "x", ...change };
  if (Object.keys(change).length === 0) delete whole.girl_id;
  const { status, json } = await server.call("POST", "/generate", whole);
  expect(status).toBe(422);
  const { detail } = json as { detail: { loc: unknown[]; msg: string; type: string }[] };
  expect(detail[0]?.loc).toEqual(["body", field]);
  expect(detail[0]?.msg).toEqual(expect.any(String));
  expect(detail[0]?.type).toEqual(expect.any(String));
});

test("a missing field is said to be missing", async () => {
  expect(await server.call("POST", "/generate", { girl_id: "a", user_id: 1 })).toMatchObject({
    status: 422,
    json: { detail: [{ loc: ["body", "prompt"], msg: "Field required", type: "missing" }] },
  });
});

test.each(["{", "", "[]", "null", '"x"', '{"girl_id":"a","user_id":1,"prompt":"x","guidance_scale":NaN}'])(
  "the body %j is 422",
  async (body) => {
    const response = await fetch(`${server.url}/generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(response.status).toBe(422);
    const { detail } = (await response.json()) as { detail: { loc: unknown[] }[] };
    expect(detail[0]?.loc[0]).toBe("body");
  },
);

test.each(["\0", "half \ud83d"])("text that cannot be stored (%j) is refused", async (prompt) => {
  expect(await server.call("POST", "/generate", { girl_id: "a", user_id: 1, prompt })).toMatchObject({ status: 422 });
  const inContext = { girl_id: "a", user_id: 1, prompt: "x", context: prompt };
  expect(await server.call("POST", "/generate", inContext)).toMatchObject({
    status: 422,
    json: { detail: [{ loc: ["body", "context"] }] },
  });
});

test.each([
  [{}, { steps: 30, guidance_scale: 7.5, scheduler: "dpmpp_2m" }],
  [
    { steps: 24, guidance_scale: 4, scheduler: "unipc" },
    { steps: 24, guidance_scale: 4, scheduler: "unipc" },
  ],
])("with SDXL the contract's defaults hold, and before them what the operator has set: %j", async (operator, expected) => {
  const changed = await startWith({ models: { "kiln-test": { width: 1024, height: 1024, ...operator } } });
  try {
    const id = await generate(changed.url, { girl_id: "a", user_id: 1, prompt: "x" });
    const { json } = await changed.call("GET", `/v1/jobs/${id}`);
    expect(json).toMatchObject({ request: { ...expected, width: 1024, height: 1024 } });
  } finally {
    await changed.close();
  }
});
