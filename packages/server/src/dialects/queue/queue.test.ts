import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LOCAL_CALLER } from "../../auth/caller.ts";
import { lookAt } from "../../testing/look-at.ts";
import { DEMO_FOLDER, REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { ended, FULL_REQUEST, generate } from "../../testing/queue-client.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

async function bytesAt(url: string | undefined): Promise<Buffer> {
  const response = await fetch(url ?? "");
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describe("with the test engine", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=queue" });
  });
  afterAll(async () => {
    await server.close();
  });

  test("the documented client gets its picture and thumbnail", async () => {
    const id = await generate(server.url, FULL_REQUEST);
    const answer = await ended(server.url, id);
    expect(answer).toMatchObject({ job_id: id, status: "completed" });
    expect(answer.error).toBeUndefined();
    expect(answer.generation_time).toBeGreaterThan(0);
    expect(await lookAt(await bytesAt(answer.image_url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    expect(await lookAt(await bytesAt(answer.thumbnail_url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    const { row, images } = await server.context.jobs.read(id, LOCAL_CALLER);
    expect(images[0]).toMatchObject({ key: `generated/aurora-7/${id}.jpg`, thumbnail_key: `generated/aurora-7/${id}_thumb.jpg` });
    expect(row).toMatchObject({ dialect: "queue", priority: "urgent", context: { context: "they met at the market" } });
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
