import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withoutPaths } from "./private-paths.ts";
import { cleanups, folder } from "./testing/faults.ts";
import { REFERENCE_FOLDER } from "./testing/model-folders.ts";
import { startTestServer, type TestServer } from "./testing/start-test-server.ts";

test.each([
  ["/home/me/models/tiny-xl has no VAE: use a complete checkpoint.", "tiny-xl has no VAE: use a complete checkpoint."],
  ['The file "/usr/share/x/a.safetensors", and /tmp/b.', 'The file "a.safetensors", and b.'],
  ["cannot open file:///home/me/a.png (/tmp/x/y/).", "cannot open a.png (y)."],
  ["C:\\models\\a.safetensors is damaged.", "a.safetensors is damaged."],
  ["There is nothing at GET /v1/models/tmp; see /docs/x or https://example.org/home/x.", undefined],
  ["steps and/or size: 1/2, image/png", undefined],
])("%s", (message, expected) => {
  expect(withoutPaths(message)).toBe(expected ?? message);
});

describe.skipIf(!REFERENCE_FOLDER)("a checkpoint that turns out to be broken when it is drawn with", () => {
  let server: TestServer;
  let models: string;
  beforeAll(async () => {
    models = folder();
    const broken = join(models, "broken");
    const tiny = join(REFERENCE_FOLDER ?? "", "tiny-xl");
    mkdirSync(broken);
    for (const name of [
      "model_index.json",
      "scheduler",
      "text_encoder",
      "text_encoder_2",
      "tokenizer",
      "tokenizer_2",
      "unet",
      "vae",
    ])
      symlinkSync(join(tiny, name), join(broken, name));
    const [dialects, settings] = [["queue", "pose", "instant", "depth"], { MODELS_DIR: models, KILN_DEFAULT_MODEL: "broken" }];
    server = await startTestServer({
      KILN_ENGINE: "diffusion",
      KILN_LISTEN: dialects.map((dialect) => `127.0.0.1:0=${dialect}`).join(","),
      ...settings,
    });
    // It was whole when it was looked at.
    rmSync(join(broken, "vae"));
  });
  afterAll(async () => {
    await server?.close();
    for (const cleanup of cleanups.splice(0)) await cleanup();
  });

  const SMALL = { prompt: "x", width: 64, height: 64, steps: 1, num_inference_steps: 1, model: "broken" };
  const at = (dialect: string) => server.listeners.find((listener) => listener.dialect === dialect)?.url ?? "";
  async function post(url: string, body: unknown): Promise<string> {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    return `${response.status} ${await response.text()}`;
  }

  test("is named by every face without the folder that it lies in", async () => {
    const { id } = JSON.parse((await post(`${server.url}/v1/jobs`, SMALL)).slice(4)) as { id: string };
    const queued = JSON.parse(
      (await post(`${at("queue")}/generate`, { girl_id: "a", user_id: 1, prompt: "x", num_inference_steps: 20 })).slice(4),
    ) as { job_id: string };
    const answers = [
      await post(`${server.url}/sdapi/v1/txt2img`, SMALL),
      await post(`${server.url}/v1/images/generations`, { prompt: "x", model: "broken" }),
      await post(`${server.url}/v1/images/generations`, { prompt: "x", model: "broken", stream: true }),
      await post(`${at("instant")}/generate`, SMALL),
      await post(`${at("pose")}/generate/batch`, [SMALL]),
      await post(`${at("depth")}/generate`, { prompt: "x", width: 256, height: 256, steps: 1 }),
      await post(`${at("depth")}/preload?model_name=broken`, {}),
    ];
    for (;;) {
      const job = await (await fetch(`${server.url}/v1/jobs/${id}`)).text();
      const status = await (await fetch(`${at("queue")}/status/${queued.job_id}`)).text();
      if (!job.includes('"failed"') || !status.includes('"failed"')) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      answers.push(job, status, await (await fetch(`${server.url}/v1/jobs/${id}/result`)).text());
      break;
    }
    // The file is named, so that the operator knows which it is.
    expect(answers.filter((answer) => answer.includes("broken")).length).toBeGreaterThan(4);
    for (const answer of answers) {
      expect(answer).not.toContain(models);
      expect(answer).not.toMatch(/\/(tmp|work|home|usr|root|var)\//);
    }
  });
});
