import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lookAt } from "../../testing/look-at.ts";
import { DEMO_FOLDER, REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

interface Picture {
  success: boolean;
  image: string;
  image_base64: string;
  seed: number;
  final_resolution: string;
  refiner_applied: boolean;
  hires_fix_applied: boolean;
  generation_time_seconds: number;
}

/** The documented client: posts JSON, and shows `image` in a page. */
async function generate(server: TestServer, body: object, path = "/generate"): Promise<Picture> {
  const { status, json } = await server.call("POST", path, body);
  if (status !== 200) throw new Error(`${status}: ${JSON.stringify(json)}`);
  return json as Picture;
}

async function bytesOf({ image, image_base64 }: Picture): Promise<Buffer> {
  expect(image).toBe(`data:image/png;base64,${image_base64}`);
  return Buffer.from(image_base64, "base64");
}

describe("with the test engine", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=instant" });
  });
  afterAll(async () => {
    await server.close();
  });

  async function lastRequest(): Promise<Record<string, unknown>> {
    const { json } = await server.call("GET", "/v1/jobs?limit=1");
    return (json as { jobs: { request: Record<string, unknown> }[] }).jobs[0]?.request ?? {};
  }

  test("the documented request and answer", async () => {
    const answer = await generate(server, {
      prompt: "a lighthouse at dusk",
      negative_prompt: "blurry",
      width: 512,
      height: 768,
      num_inference_steps: 12,
      guidance_scale: 6,
      use_refiner: true,
      use_face_restoration: true,
      face_restoration_weight: 0.6,
      hires_fix: false,
      hires_fix_simple: false,
      hires_scale: 1.5,
      use_realesrgan: true,
      upscale: 1,
      seed: 42,
    });
    expect(answer).toEqual({
      success: true,
      image: expect.stringMatching(/^data:image\/png;base64,/),
      image_base64: expect.any(String),
      prompt: "a lighthouse at dusk",
      seed: 42,
      refiner_applied: false,
      face_restoration_applied: false,
      hires_fix_applied: false,
      final_resolution: "512x768",
      generation_time_seconds: expect.any(Number),
      model: "SDXL",
    });
    expect(await lookAt(await bytesOf(answer))).toMatchObject({ format: "png", width: 512, height: 768 });
    expect(await lastRequest()).toMatchObject({ negative_prompt: "blurry", steps: 12, guidance_scale: 6, seed: 42 });
  });

  test("the other family of names, the alias, and fields nobody knows", async () => {
    const answer = await generate(
      server,
      { prompt: "x", steps: 7, cfg_scale: 3.5, use_hires_fix: true, sampler: "whatever", batch: { size: 2 }, model: "SDXL" },
      "/txt2img",
    );
    expect(answer.hires_fix_applied).toBe(true);
    expect(await lastRequest()).toMatchObject({ steps: 7, guidance_scale: 3.5, hires: { scale: 2, strength: 0.35, steps: 25 } });
  });

  test.each([[undefined], [null], [-1], ["-1"]])("the seed %s is a random one, and said", async (seed) => {
    const [one, two] = await Promise.all([generate(server, { prompt: "x", seed }), generate(server, { prompt: "x", seed })]);
    expect(one.seed).not.toBe(two.seed);
    const again = await generate(server, { prompt: "x", seed: one.seed });
    expect(again.seed).toBe(one.seed);
  });

  test("a seed of 64 bits stays whole", async () => {
    expect((await generate(server, { prompt: "x", seed: "18446744073709551615" })).seed).toBe("18446744073709551615");
  });

  test("what is left out, or null, comes from the model", async () => {
    const answer = await generate(server, { prompt: "x", width: null, steps: null, negative_prompt: null, use_refiner: null });
    expect(answer.final_resolution).toBe("256x256");
    expect(await lastRequest()).toMatchObject({ steps: 4, guidance_scale: 1, width: 256 });
  });

  test.each([
    [{ hires_fix: true }, "384x384", true],
    [{ hires_fix: true, width: 512, height: 256 }, "384x192", true],
    [{ hires_fix_simple: true }, "384x384", true],
    [{ hires_fix_simple: true, hires_scale: 2, width: 128, height: 64 }, "256x128", true],
    [{ upscale: 2, width: 128, height: 64 }, "256x128", false],
  ])("%j makes %s", async (fields, resolution, applied) => {
    const answer = await generate(server, { prompt: "x", ...fields });
    expect(answer).toMatchObject({ hires_fix_applied: applied });
    if ("hires_fix" in fields) {
      // The test engine knows no second pass; what it is asked for is what counts.
      const { width, height } = (await lastRequest()) as { width: number; height: number };
      expect(`${width * 2}x${height * 2}`).toBe(resolution);
    } else {
      expect(answer.final_resolution).toBe(resolution);
      const { width, height } = await lookAt(await bytesOf(answer));
      expect(`${width}x${height}`).toBe(resolution);
    }
  });

  test("numbers and flags as text", async () => {
    await generate(server, { prompt: "x", width: "128", height: "64", steps: "5", cfg_scale: "2.5", hires_fix: "false" });
    expect(await lastRequest()).toMatchObject({ width: 128, height: 64, steps: 5, guidance_scale: 2.5 });
  });

  const wrong = [[], {}, "text", 1.5, -7, 1e300, true, "\0"];
  const fields = [
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "num_inference_steps",
    "steps",
    "guidance_scale",
    "cfg_scale",
    "use_refiner",
    "use_face_restoration",
    "face_restoration_weight",
    "hires_fix",
    "use_hires_fix",
    "hires_fix_simple",
    "hires_scale",
    "use_realesrgan",
    "upscale",
    "seed",
    "model",
  ];
  test.each(fields)("wrong types in %s are refused in the contract's form, or mean what they say", async (field) => {
    for (const value of wrong) {
      const { status, json } = await server.call("POST", "/generate", { prompt: "x", [field]: value });
      if (status === 200) continue;
      expect([status, json]).toEqual([422, { success: false, error: "invalid_request", detail: expect.stringContaining(field) }]);
    }
  });

  test.each([
    [{}, "prompt"],
    [{ prompt: "" }, "prompt"],
    [{ prompt: 5 }, "prompt"],
    [{ prompt: "x", width: 100 }, "width"],
    [{ prompt: "x", height: 4096 }, "height"],
    [{ prompt: "x", steps: 0 }, "steps"],
    [{ prompt: "x", steps: 151 }, "steps"],
    [{ prompt: "x", guidance_scale: "strong" }, "guidance_scale"],
    [{ prompt: "x", use_refiner: "perhaps" }, "use_refiner"],
    [{ prompt: "x", hires_scale: 5 }, "hires_scale"],
    [{ prompt: "x", seed: -2 }, "seed"],
    [{ prompt: "x", seed: 1.5 }, "seed"],
    [{ prompt: "x", seed: "18446744073709551616" }, "seed"],
  ])("%j is refused, and %s named", async (body, field) => {
    const { status, json } = await server.call("POST", "/generate", body);
    expect(status).toBe(422);
    expect(json).toEqual({ success: false, error: "invalid_request", detail: expect.stringContaining(field) });
  });

  test.each([
    ["{", "application/json", 400, "malformed"],
    ["[]", "application/json", 422, "invalid_request"],
    ["null", "application/json", 422, "invalid_request"],
    ["", "application/json", 422, "invalid_request"],
    ["prompt=x", "text/csv", 415, "unsupported_media_type"],
  ])("the body %j of %s is refused with %i", async (body, type, expected, code) => {
    const response = await fetch(`${server.url}/generate`, { method: "POST", body, headers: { "content-type": type } });
    expect(response.status).toBe(expected);
    expect(await response.json()).toEqual({ success: false, error: code, detail: expect.any(String) });
  });

  test("a prompt that the policy refuses, and a picture that cannot be made", async () => {
    const refused = await server.call("POST", "/generate", { prompt: "a nude woman" });
    expect([refused.status, refused.json]).toEqual([
      400,
      { success: false, error: "content_policy", detail: expect.any(String) },
    ]);
    const failed = await server.call("POST", "/generate", { prompt: "[fail]" });
    expect([failed.status, failed.json]).toEqual([
      500,
      { success: false, error: "internal", detail: "The UNet's output holds NaN." },
    ]);
  });

  test("a client that goes away takes its job along", async () => {
    const leaving = new AbortController();
    const sent = fetch(`${server.url}/generate`, {
      method: "POST",
      body: JSON.stringify({ prompt: "[slow] nobody waits", steps: 150, width: 64, height: 64 }),
      headers: { "content-type": "application/json" },
      signal: leaving.signal,
    });
    sent.catch(() => {});
    const find = async () => {
      const { json } = await server.call("GET", "/v1/jobs?search=nobody");
      return (json as { jobs: { status: string }[] }).jobs[0]?.status;
    };
    while ((await find()) === undefined) await sleep(5);
    leaving.abort();
    while (["queued", "running"].includes((await find()) ?? "")) await sleep(10);
    expect(await find()).toBe("cancelled");
  });

  test("health", async () => {
    const { status, json } = await server.call("GET", "/health");
    expect(status).toBe(200);
    expect(json).toEqual({
      status: "healthy",
      model_loaded: true,
      cuda_available: false,
      codeformer_available: false,
      realesrgan_available: false,
      vram_available: "0.0GB / 0.0GB",
    });
  });

  test("a placeholder key is ignored on loopback until a key exists", async () => {
    const placeholder = { authorization: "Bearer placeholder" };
    expect((await server.call("POST", "/generate", { prompt: "x" }, placeholder)).status).toBe(200);
    const { key, view } = await server.context.keys.create({ name: "test", role: "admin" });
    const refused = await server.call("POST", "/generate", { prompt: "x" }, placeholder);
    expect([refused.status, refused.json]).toEqual([401, { success: false, error: "unauthorized", detail: expect.any(String) }]);
    expect((await server.call("POST", "/generate", { prompt: "x" }, { authorization: `Bearer ${key}` })).status).toBe(200);
    expect((await server.call("GET", "/health")).status).toBe(200);
    await server.context.keys.revoke(view.id);
  });
});

test("while nothing can be drawn, health says so and generate answers 503", async () => {
  const server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=instant" });
  try {
    server.context.checkReady = async () => {
      throw new Error("still loading");
    };
    expect((await server.call("GET", "/health")).json).toMatchObject({ status: "healthy", model_loaded: false });
    const { status, json, headers } = await server.call("POST", "/generate", { prompt: "x" });
    expect(status).toBe(503);
    expect(json).toMatchObject({ detail: expect.stringContaining("loading") });
    expect(headers.get("retry-after")).toBe("5");
  } finally {
    await server.close();
  }
});

describe.skipIf(!DEMO_FOLDER || !REFERENCE_FOLDER)("with real checkpoints, a refiner among them", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      KILN_LISTEN: "127.0.0.1:0=instant",
      KILN_ENGINE: "diffusion",
      MODELS_DIR: `${DEMO_FOLDER},${REFERENCE_FOLDER}`,
      KILN_DEFAULT_MODEL: "kiln-demo",
      SDXL_REFINER_ID: "tiny-xl-refiner",
    });
  });
  afterAll(async () => {
    await server.close();
  });

  test("the demo draws a picture of its own size, and the refiner leaves it alone", async () => {
    const answer = await generate(server, { prompt: "a red house", steps: 3, seed: 7 });
    expect(answer).toMatchObject({ success: true, final_resolution: "256x256", refiner_applied: false, model: "SDXL" });
    const look = await lookAt(await bytesOf(answer));
    expect(look).toMatchObject({ format: "png", width: 256, height: 256 });
    expect(look.deviation).toBeGreaterThan(10);
  });

  const request = { model: "tiny-xl", prompt: "a red fox", width: 64, height: 64, steps: 4, seed: 3 };

  test("the refiner draws over the picture unless the request says no", async () => {
    const refined = await generate(server, request);
    expect(refined).toMatchObject({ refiner_applied: true, final_resolution: "64x64" });
    const base = await generate(server, { ...request, use_refiner: false });
    expect(base.refiner_applied).toBe(false);
    expect(base.image_base64).not.toBe(refined.image_base64);
  });

  test("hires fix draws a second, larger picture, with and without the refiner", async () => {
    for (const use_refiner of [true, false]) {
      const answer = await generate(server, { ...request, hires_fix: true, use_refiner });
      expect(answer).toMatchObject({ hires_fix_applied: true, refiner_applied: use_refiner });
      const { json } = await server.call("GET", "/v1/jobs?limit=1");
      const hires = { scale: 2, strength: 0.35, steps: 25, by: use_refiner ? "refiner" : "base" };
      expect(json).toMatchObject({ jobs: [{ request: { hires } }] });
      const { width, height, deviation } = await lookAt(await bytesOf(answer));
      expect(answer.final_resolution).toBe(`${width}x${height}`);
      expect(width).toBe(height);
      expect(deviation).toBeGreaterThan(1);
    }
  });

  test("the SD 1.5 predecessor is drawn by its name", async () => {
    const answer = await generate(server, { ...request, model: "tiny-sd15" });
    expect(answer).toMatchObject({ success: true, prompt: "a red fox", model: "SD1.5", refiner_applied: false });
    expect((await lookAt(await bytesOf(answer))).width).toBe(64);
  });
});
