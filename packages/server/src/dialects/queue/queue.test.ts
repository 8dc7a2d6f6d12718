import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lookAt } from "../../testing/look-at.ts";
import { DEMO_FOLDER, REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

interface StatusAnswer {
  job_id: string;
  status: string;
  image_url?: string;
  thumbnail_url?: string;
  generation_time?: number;
  error?: string;
}

/** The documented client: any code but 200 is a failure, and the status is asked for until the job has ended. */
async function generate(url: string, body: object): Promise<string> {
  const response = await fetch(`${url}/generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const answer = (await response.json()) as { job_id: string; status: string };
  expect(Object.keys(answer).sort()).toEqual(["job_id", "status"]);
  expect(answer.status).toBe("queued");
  return answer.job_id;
}

async function ended(url: string, id: string): Promise<StatusAnswer> {
  for (;;) {
    const response = await fetch(`${url}/status/${id}`);
    expect(response.status).toBe(200);
    const answer = (await response.json()) as StatusAnswer;
    if (answer.status === "completed" || answer.status === "failed") return answer;
    expect(["queued", "processing"]).toContain(answer.status);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

async function bytesAt(url: string | undefined): Promise<Buffer> {
  const response = await fetch(url ?? "");
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

const FULL_REQUEST = {
  girl_id: "aurora-7",
  user_id: 42,
  prompt: "portrait in a garden",
  negative_prompt: "blurry",
  context: "they met at the market",
  affection_level: 70,
  nsfw_level: 20,
  num_inference_steps: 25,
  guidance_scale: 6.5,
  high_quality: false,
  priority: "urgent",
};

describe("with the test engine", () => {
  let server: TestServer;
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), "kiln-queue-"));
    const presets = join(folder, "presets.json");
    writeFileSync(
      presets,
      JSON.stringify({
        tiers: [
          { below: 30, template: "distant, {prompt}" },
          { below: 60, template: "friendly, {prompt}" },
          { below: 85, template: "close, {prompt}, {context}" },
          { below: 101, template: "devoted, {prompt}" },
        ],
        negative_prompt: "watermark",
      }),
    );
    server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=queue", KILN_PRESETS: presets });
  });
  afterAll(async () => {
    await server.close();
  });

  async function requestOf(id: string): Promise<Record<string, unknown>> {
    const { json } = await server.call("GET", `/v1/jobs/${id}`);
    return (json as { request: Record<string, unknown> }).request;
  }

  test("the documented client gets its picture and thumbnail", async () => {
    const id = await generate(server.url, FULL_REQUEST);
    const answer = await ended(server.url, id);
    expect(answer).toMatchObject({ job_id: id, status: "completed" });
    expect(answer.error).toBeUndefined();
    expect(answer.generation_time).toBeGreaterThan(0);
    expect(await lookAt(await bytesAt(answer.image_url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    expect(await lookAt(await bytesAt(answer.thumbnail_url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    const { row, images } = await server.context.jobs.read(id, { ...LOCAL });
    expect(images[0]).toMatchObject({ key: `generated/aurora-7/${id}.jpg`, thumbnail_key: `generated/aurora-7/${id}_thumb.jpg` });
    expect(row).toMatchObject({ dialect: "queue", priority: "urgent", context: { context: "they met at the market" } });
  });

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
    [{ priority: 1 }, "priority"],
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

  test("high quality needs a refiner", async () => {
    const { status, json } = await server.call("POST", "/generate", {
      girl_id: "a",
      user_id: 1,
      prompt: "x",
      high_quality: true,
    });
    expect(status).toBe(422);
    expect(json).toMatchObject({ detail: [{ loc: ["body", "high_quality"], msg: expect.stringContaining("refiner") }] });
  });

  test("a level above the operator's ceiling does not raise it", async () => {
    const refused = await server.call("POST", "/generate", { girl_id: "a", user_id: 1, prompt: "a nude woman", nsfw_level: 100 });
    expect(refused.status).toBe(400);
    expect(refused.json).toEqual({ detail: expect.stringContaining("ceiling"), code: "content_policy" });
  });

  test("a failed job is 200 with its error, and an unknown one 404", async () => {
    const answer = await ended(server.url, await generate(server.url, { girl_id: "a", user_id: 1, prompt: "[fail]" }));
    expect(answer).toMatchObject({ status: "failed", error: "The UNet's output holds NaN." });
    expect(answer.image_url).toBeUndefined();
    for (const id of ["nobody", "..%2f..", "%27%3B%20drop%20table%20jobs", "x".repeat(400)]) {
      const unknown = await server.call("GET", `/status/${id}`);
      expect(unknown).toMatchObject({ status: 404, json: { detail: "Job not found" } });
    }
    expect(await server.call("GET", "/status/%00")).toMatchObject({
      status: 422,
      json: { detail: [{ msg: expect.any(String) }] },
    });
  });

  test("health and the metrics that its dashboards read", async () => {
    expect(await server.call("GET", "/health")).toMatchObject({
      status: 200,
      json: {
        status: "healthy",
        pipeline_loaded: true,
        refiner_loaded: false,
        gpu_available: false,
        gpu_count: 0,
        device: "none",
      },
    });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain("# TYPE image_generation_requests_total counter");
    expect(metrics).toContain("# TYPE image_generation_errors_total counter");
    expect(metrics).toContain("# TYPE image_generation_duration_seconds histogram");
  });

  test("a placeholder key is ignored while no key exists; then a wrong one is 401", async () => {
    const headers = { authorization: "Bearer your-key-here" };
    expect(await server.call("POST", "/generate", { girl_id: "a", user_id: 1, prompt: "x" }, headers)).toMatchObject({
      status: 200,
    });
    const created = await server.call("POST", "/v1/keys", { name: "first", role: "admin" });
    const { id, key } = created.json as { id: string; key: string };
    expect(await server.call("POST", "/generate", { girl_id: "a", user_id: 1, prompt: "x" }, headers)).toMatchObject({
      status: 401,
      json: { detail: expect.any(String) },
    });
    const good = { authorization: `Bearer ${key}` };
    expect(await server.call("POST", "/generate", { girl_id: "a", user_id: 1, prompt: "x" }, good)).toMatchObject({
      status: 200,
    });
    expect(await server.call("GET", "/health")).toMatchObject({ status: 200 });
    expect((await server.call("DELETE", `/v1/keys/${id}`, undefined, good)).status).toBe(204);
  });
});

const LOCAL = {
  owner: "local",
  role: "admin" as const,
  ratePerMinute: undefined,
  quotaPicturesPerDay: undefined,
  contentCeiling: undefined,
};

test.each([
  [{}, { steps: 30, guidance_scale: 7.5, scheduler: "dpmpp_2m" }],
  [
    { steps: 24, guidance_scale: 4, scheduler: "unipc" },
    { steps: 24, guidance_scale: 4, scheduler: "unipc" },
  ],
])("with SDXL the contract's defaults hold, and before them what the operator has set: %j", async (operator, expected) => {
  const presets = join(mkdtempSync(join(tmpdir(), "kiln-queue-")), "presets.json");
  writeFileSync(presets, JSON.stringify({ models: { "kiln-test": { width: 1024, height: 1024, ...operator } } }));
  const server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=queue", KILN_PRESETS: presets });
  try {
    const id = await generate(server.url, { girl_id: "a", user_id: 1, prompt: "x" });
    const { json } = await server.call("GET", `/v1/jobs/${id}`);
    expect(json).toMatchObject({ request: { ...expected, width: 1024, height: 1024 } });
  } finally {
    await server.close();
  }
});

test("picture addresses start with the CDN's where one is set", async () => {
  const server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=queue", CLOUDFRONT_URL: "https://cdn.example.org/pictures/" });
  try {
    const id = await generate(server.url, { girl_id: "luna", user_id: 1, prompt: "x" });
    expect(await ended(server.url, id)).toMatchObject({
      image_url: `https://cdn.example.org/pictures/generated/luna/${id}.jpg`,
      thumbnail_url: `https://cdn.example.org/pictures/generated/luna/${id}_thumb.jpg`,
    });
  } finally {
    await server.close();
  }
});

test.skipIf(!DEMO_FOLDER)("a real picture from the demo checkpoint", async () => {
  const server = await startTestServer({
    KILN_LISTEN: "127.0.0.1:0=queue",
    KILN_ENGINE: "diffusion",
    MODELS_DIR: DEMO_FOLDER ?? "",
  });
  try {
    const id = await generate(server.url, {
      girl_id: "demo",
      user_id: 1,
      prompt: "a red boat on the sea",
      num_inference_steps: 20,
      priority: "high",
    });
    const answer = await ended(server.url, id);
    expect(answer.error).toBeUndefined();
    const look = await lookAt(await bytesAt(answer.image_url));
    expect(look).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    expect(look.deviation).toBeGreaterThan(10);
    expect(await server.call("GET", "/health")).toMatchObject({ json: { pipeline_loaded: true, device: "cpu" } });
  } finally {
    await server.close();
  }
});

test.skipIf(!REFERENCE_FOLDER)(
  "several LoRAs with weights, and a refiner for high quality, from the service's own settings",
  async () => {
    const files = ["lokr", "kohya"].map((name) => join(REFERENCE_FOLDER ?? "", "loras", `${name}.safetensors`));
    const server = await startTestServer({
      KILN_LISTEN: "127.0.0.1:0=queue",
      KILN_ENGINE: "diffusion",
      MODELS_DIR: REFERENCE_FOLDER ?? "",
      SDXL_MODEL_ID: "tiny-xl",
      SDXL_REFINER_ID: "tiny-xl-refiner",
      SDXL_LORA_PATH: `${files[0]}:0.8,${files[1]}:-0.5`,
    });
    try {
      const id = await generate(server.url, {
        girl_id: "a",
        user_id: 1,
        prompt: "x",
        num_inference_steps: 20,
        high_quality: "true",
      });
      const answer = await ended(server.url, id);
      expect(answer.error).toBeUndefined();
      expect((await lookAt(await bytesAt(answer.image_url))).deviation).toBeGreaterThan(1);
      expect((await server.call("GET", `/v1/jobs/${id}`)).json).toMatchObject({
        request: {
          model: "tiny-xl",
          scheduler: "dpmpp_2m",
          loras: [
            { name: "lokr", weight: 0.8 },
            { name: "kohya", weight: -0.5 },
          ],
          refiner: { mode: "pass", model: "tiny-xl-refiner", steps: 20 },
        },
      });
      expect(await server.call("GET", "/health")).toMatchObject({ json: { pipeline_loaded: true, refiner_loaded: true } });
    } finally {
      await server.close();
    }
  },
);
