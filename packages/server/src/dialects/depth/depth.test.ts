import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadedModels } from "../../http/native/models.ts";
import { lookAt } from "../../testing/look-at.ts";
import { DEMO_FOLDER, REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { Health } from "./health.ts";

interface Answer {
  success: boolean;
  image_b64: string | null;
  error_message: string | null;
  generation_time: number | null;
  seed_used: number | null;
  model_used: string | null;
  era_used: string | null;
  metadata: Record<string, unknown>;
}

/** The documented client: 200 in every case, and `success` says whether there is a picture. */
async function generate(url: string, body: object): Promise<Answer> {
  const response = await fetch(`${url}/generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const answer = (await response.json()) as Answer;
  expect(Object.keys(answer).sort()).toEqual([
    "era_used",
    "error_message",
    "generation_time",
    "image_b64",
    "metadata",
    "model_used",
    "seed_used",
    "success",
  ]);
  return answer;
}

async function look(answer: Answer) {
  expect(answer.error_message).toBeNull();
  expect(answer.success).toBe(true);
  return await lookAt(Buffer.from(answer.image_b64 ?? "", "base64"));
}

/** A depth map of another size and shape than the picture: a near disc on a far ground. */
async function depthMap(): Promise<string> {
  const svg =
    '<svg width="90" height="60"><rect width="90" height="60" fill="#222"/><circle cx="45" cy="30" r="22" fill="#eee"/></svg>';
  return (await sharp(Buffer.from(svg)).png().toBuffer()).toString("base64");
}

function presetsFile(presets: object): string {
  const path = join(mkdtempSync(join(tmpdir(), "kiln-depth-")), "presets.json");
  writeFileSync(path, JSON.stringify(presets));
  return path;
}

describe("with the test engine", () => {
  let server: TestServer;
  beforeAll(async () => {
    const KILN_PRESETS = presetsFile({
      themes: {
        plain: { loras: [] },
        worded: { loras: [], prompt: "pine forest" },
        around: { loras: [], prompt: "aerial photograph of {prompt}, clear air" },
        gone: { loras: [{ name: "not-installed", weight: 0.8 }] },
      },
    });
    server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=depth", KILN_PRESETS, KILN_TEST_ENGINE_STEP_MS: "10" });
  });
  afterAll(async () => {
    await server.close();
  });

  async function nativeOf(answer: Answer): Promise<Record<string, unknown>> {
    const { json } = await server.call("GET", `/v1/jobs/${answer.metadata.job_id}`);
    return (json as { request: Record<string, unknown> }).request;
  }

  test("a prompt alone is a JPEG of the model's size", async () => {
    const answer = await generate(server.url, { prompt: "a valley" });
    expect(await look(answer)).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    expect(answer).toMatchObject({ model_used: "base", era_used: null, generation_time: expect.any(Number) });
    expect(answer.metadata).toMatchObject({
      steps: 20,
      cfg: 7.5,
      scheduler: "dpmpp_2m_sde_karras",
      depth: "none",
      controlnet: null,
      controlnet_strength: 0.8,
      lora_strength: 1,
      loras: [],
      width: 256,
      height: 256,
    });
    expect(answer.metadata.notes).toEqual([expect.stringContaining("text to image")]);
    expect(answer.metadata.workload).toBeGreaterThan(0);
  });

  test("every field arrives", async () => {
    const answer = await generate(server.url, {
      prompt: "a valley",
      negative_prompt: "fog",
      model: "base",
      era: "plain",
      steps: 9,
      cfg: 3.5,
      seed: 66,
      lora_strength: 0.4,
      scheduler: "euler_a",
      width: 320,
      height: 256,
      use_jpeg: false,
      client: "unknown fields are ignored",
    });
    expect(await look(answer)).toMatchObject({ format: "png", width: 320, height: 256 });
    expect(answer).toMatchObject({ model_used: "base", era_used: "plain", seed_used: 66 });
    expect(answer.metadata).toMatchObject({ steps: 9, cfg: 3.5, scheduler: "euler_a", lora_strength: 0.4 });
    expect(await nativeOf(answer)).toMatchObject({ prompt: "a valley", negative_prompt: "fog", seed: 66 });
  });

  test.each([
    ["worded", "a valley, pine forest"],
    ["around", "aerial photograph of a valley, clear air"],
  ])("the words of the theme %s join the prompt", async (era, prompt) => {
    expect(await nativeOf(await generate(server.url, { prompt: "a valley", era }))).toMatchObject({ prompt });
  });

  test.each([
    ["euler", undefined, "euler"],
    ["euler", true, "euler_karras"],
    ["dpm_multi", true, "dpmpp_2m_karras"],
    ["dpm_single", undefined, "dpmpp_2s"],
    ["dpm_sde", false, "dpmpp_sde"],
    ["ddim", true, "ddim"],
    ["lcm", undefined, "lcm"],
    ["auto", false, "dpmpp_2m_sde"],
  ])("scheduler %s with use_karras_sigmas %s is %s", async (scheduler, use_karras_sigmas, name) => {
    const { metadata } = await generate(server.url, { prompt: "x", steps: 2, scheduler, use_karras_sigmas });
    expect(metadata.scheduler).toBe(name);
  });

  test.each([
    [{ era: "atlantis" }, /era "atlantis".*plain/],
    [{ era: "gone" }, /not-installed/],
    [{ era: "__proto__" }, /era/],
    [{ loras: [{ name: "nowhere", strength: 0.5 }] }, /nowhere/],
    [{ model: "lightning" }, /lightning/],
    [{ mock_depth: true }, /depth ControlNet/],
    [{ prompt: "[fail]" }, /NaN/],
  ])("%j is 200 with success false", async (change, message) => {
    const answer = await generate(server.url, { prompt: "x", steps: 2, ...change });
    expect(answer).toMatchObject({ success: false, image_b64: null, seed_used: null });
    expect(answer.error_message).toMatch(message);
  });

  test.each([
    [{ prompt: "" }, "prompt"],
    [{ prompt: "x".repeat(1001) }, "prompt"],
    [{ prompt: 7 }, "prompt"],
    [{ negative_prompt: "x".repeat(1001) }, "negative_prompt"],
    [{ depth_map_b64: "bm90IGEgcGljdHVyZSBhdCBhbGw=" }, "depth_map_b64"],
    [{ depth_map_b64: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" }, "depth_map_b64"],
    [{ depth_map_b64: "???" }, "depth_map_b64"],
    [{ depth_map_b64: 5 }, "depth_map_b64"],
    [{ mock_depth: "perhaps" }, "mock_depth"],
    [{ model: "turbo" }, "model"],
    [{ era: 4 }, "era"],
    [{ steps: 0 }, "steps"],
    [{ steps: 51 }, "steps"],
    [{ cfg: 0.05 }, "cfg"],
    [{ cfg: 20.5 }, "cfg"],
    [{ seed: -1 }, "seed"],
    [{ lora_strength: 2.1 }, "lora_strength"],
    [{ controlnet_strength: -0.1 }, "controlnet_strength"],
    [{ control_guidance_start: 0.6, control_guidance_end: 0.5 }, "control_guidance_end"],
    [{ scheduler: "heun" }, "scheduler"],
    [{ use_karras_sigmas: "x" }, "use_karras_sigmas"],
    [{ width: 1000 }, "width"],
    [{ height: 192 }, "height"],
    [{ width: 2112 }, "width"],
    [{ use_jpeg: "no!" }, "use_jpeg"],
  ])("%j is refused by its field", async (change, field) => {
    const { status, json } = await server.call("POST", "/generate", { prompt: "x", ...change });
    expect(status).toBe(422);
    expect((json as { detail: { loc: unknown[] }[] }).detail[0]?.loc.slice(0, 2)).toEqual(["body", field]);
  });

  test("numbers and flags as text", async () => {
    const { metadata } = await generate(server.url, { prompt: "x", steps: "2", cfg: "1.5", use_jpeg: "false", mock_depth: "0" });
    expect(metadata).toMatchObject({ steps: 2, cfg: 1.5, format: "png", depth: "none" });
  });

  test("wrong LoRAs are refused by their place", async () => {
    for (const loras of [
      "x",
      [{}],
      [{ name: 3 }],
      [{ name: "a", strength: "much" }],
      Array.from({ length: 9 }, () => ({ name: "a" })),
    ]) {
      expect(await server.call("POST", "/generate", { prompt: "x", loras })).toMatchObject({
        status: 422,
        json: { detail: [{ loc: expect.arrayContaining(["body", "loras"]) }] },
      });
    }
  });

  test("the content policy refuses with its reason", async () => {
    expect(await server.call("POST", "/generate", { prompt: "a nude woman" })).toMatchObject({
      status: 400,
      json: { detail: expect.stringContaining("ceiling") },
    });
  });

  test("ping, models and health", async () => {
    const pong = await fetch(`${server.url}/ping`);
    expect([pong.status, await pong.text()]).toEqual([200, "pong"]);
    expect(await server.call("GET", "/models")).toMatchObject({
      status: 200,
      json: {
        available_models: ["base"],
        available_eras: ["plain", "worded", "around", "gone"],
        available_loras: [],
        available_controlnets: [],
        available_schedulers: ["auto", "euler", "euler_a", "dpm_multi", "dpm_single", "dpm_sde", "ddim", "lcm"],
      },
    });
    for (const path of ["/healthcheck", "/checkhealth"]) {
      const { status, json } = await server.call("GET", path);
      expect(status).toBe(200);
      expect(json).toMatchObject({ status: "ready", model_server_healthy: true, ready_for_inference: true });
      const health = json as { models_loaded: string[]; memory_usage: Record<string, unknown>; uptime: number };
      expect(health.models_loaded).toEqual(expect.any(Array));
      expect(health.memory_usage).toMatchObject({
        ram_mb: expect.any(Number),
        gpu_memory: { allocated: 0, cached: 0, total: 0 },
      });
      expect(health.uptime).toEqual(expect.any(Number));
    }
  });

  test("models come and go by name", async () => {
    const loaded = async () => ((await server.call("GET", "/healthcheck")).json as { models_loaded: string[] }).models_loaded;
    expect(await server.call("POST", "/preload?model_name=base")).toMatchObject({
      status: 200,
      json: { success: true, model: "kiln-test" },
    });
    await expect.poll(loaded).toEqual(["kiln-test"]);
    expect(await server.call("POST", "/unload?model_key=kiln-test")).toMatchObject({ status: 200, json: { success: true } });
    await expect.poll(loaded).toEqual([]);
    expect(await server.call("POST", "/preload?model_name=nobody")).toMatchObject({
      status: 404,
      json: { detail: expect.any(String) },
    });
    for (const path of ["/preload", "/unload", "/preload?model_name=", "/unload?model_key=a&model_key=b"]) {
      expect(await server.call("POST", path)).toMatchObject({
        status: 422,
        json: { detail: [{ loc: ["query", expect.any(String)] }] },
      });
    }
  });

  test("a client that goes away takes its job along", async () => {
    const abort = new AbortController();
    const body = JSON.stringify({ prompt: "[slow] abandoned", steps: 50 });
    const headers = { "content-type": "application/json" };
    const answer = fetch(`${server.url}/generate`, { method: "POST", headers, body, signal: abort.signal });
    const statuses = async () => {
      const { json } = await server.call("GET", "/v1/jobs?search=abandoned");
      return (json as { jobs: { status: string }[] }).jobs.map(({ status }) => status);
    };
    await expect.poll(statuses, { interval: 10 }).toHaveLength(1);
    abort.abort();
    await expect(answer).rejects.toThrow();
    await expect.poll(statuses).toEqual(["cancelled"]);
  });
});

const NODE = process.execPath;

test("health tells how the start and a new start go", async () => {
  const server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=depth", PRELOAD_MODEL: "base" });
  const state = async () => {
    const { json } = await server.call("GET", "/healthcheck");
    const { status, ready_for_inference } = json as { status: string; ready_for_inference: boolean };
    expect(ready_for_inference).toBe(status === "ready");
    return status;
  };
  try {
    await expect.poll(state, { interval: 10 }).toBe("ready");
    expect(await server.call("GET", "/healthcheck")).toMatchObject({ json: { models_loaded: ["kiln-test"] } });
    expect(await server.call("POST", "/unload?model_key=base")).toMatchObject({ json: { success: true } });
    expect(await state()).toBe("ready");
    // A service that has not seen its checkpoint in memory yet is still loading it.
    await expect.poll(async () => await loadedModels(server.context)).toEqual(new Set());
    expect(await new Health(server.context).view()).toMatchObject({ status: "loading_models", ready_for_inference: false });
    // No other engine starts before this has been seen.
    process.execPath = `${NODE}-is-not-here`;
    process.kill(server.context.supervisor?.pid ?? 0, "SIGKILL");
    await expect.poll(state, { interval: 10 }).toBe("starting");
    process.execPath = NODE;
    await expect.poll(state, { interval: 10 }).toBe("ready");
  } finally {
    process.execPath = NODE;
    await server.close();
  }
});

test.skipIf(!DEMO_FOLDER)("the demo stands in for what is not installed, and says so", async () => {
  const server = await startTestServer({
    KILN_LISTEN: "127.0.0.1:0=depth",
    KILN_ENGINE: "diffusion",
    MODELS_DIR: DEMO_FOLDER ?? "",
  });
  try {
    const answer = await generate(server.url, {
      prompt: "a red boat on the sea",
      model: "hyper",
      depth_map_b64: await depthMap(),
      steps: 8,
    });
    const picture = await look(answer);
    expect(picture).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    expect(picture.deviation).toBeGreaterThan(10);
    expect(answer.model_used).toBe("kiln-demo");
    expect(answer.metadata).toMatchObject({ depth: "none", controlnet: null, steps: 8 });
    expect(answer.metadata.notes).toEqual([expect.stringContaining("hyper"), expect.stringContaining("no depth ControlNet")]);
  } finally {
    await server.close();
  }
});

test.skipIf(!REFERENCE_FOLDER)("depth maps and themes steer the picture", async () => {
  const server = await startTestServer({
    KILN_LISTEN: "127.0.0.1:0=depth",
    KILN_ENGINE: "diffusion",
    MODELS_DIR: REFERENCE_FOLDER ?? "",
    KILN_DEFAULT_MODEL: "tiny-xl",
    KILN_PRESETS: presetsFile({ aliases: { base: "tiny-xl" }, themes: { old: { loras: [{ name: "peft", weight: 0.9 }] } } }),
  });
  const request = { prompt: "a valley", model: "base", width: 256, height: 256, steps: 2, seed: 5, use_jpeg: false };
  try {
    const withMap = await generate(server.url, { ...request, depth_map_b64: `data:image/png;base64,${await depthMap()}` });
    expect(await look(withMap)).toMatchObject({ format: "png", width: 256, height: 256 });
    expect((await look(withMap)).deviation).toBeGreaterThan(1);
    expect(withMap.metadata).toMatchObject({
      depth: "map",
      controlnet: "tiny-xl-controlnet-depth",
      checkpoint: "tiny-xl",
      notes: [],
    });
    const mock = await generate(server.url, { ...request, mock_depth: true, controlnet_strength: 1.5 });
    expect(mock.metadata).toMatchObject({ depth: "mock", controlnet: "tiny-xl-controlnet-depth", controlnet_strength: 1.5 });
    const plain = await generate(server.url, request);
    const themed = await generate(server.url, { ...request, era: "old", lora_strength: 0.5 });
    expect(themed.metadata.loras).toEqual([{ name: "peft", strength: 0.45 }]);
    const pictures = [withMap, mock, plain, themed].map(({ image_b64 }) => image_b64);
    expect(pictures).not.toContain(null);
    expect(new Set(pictures).size).toBe(4);
  } finally {
    await server.close();
  }
});
