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
  ["There is nothing at GET /etc/passwd. DELETE /tmp/a b/c is not there either.", undefined],
  ["steps and/or size: 1/2, image/png", undefined],
  // What stands in quotes is one path, blanks or not.
  ['The file "/home/Anna Bell/My Models/a b.safetensors" is cut.', 'The file "a b.safetensors" is cut.'],
  ["cannot rename '/tmp/a b/x.png' -> '/tmp/c d/y z.png'", "cannot rename 'x.png' -> 'y z.png'"],
  ["cannot open '/home/me/Anna's models/x.png'", "cannot open 'x.png'"],
  ['`/tmp/one/` and "/tmp/the other/" are folders', '`one` and "the other" are folders'],
  ['There is no model "/v1/some thing/x".', undefined],
  ["C:\\Users\\Anna Bell\\My Models\\a.safetensors is damaged; see C:\\b c\\d.", "a.safetensors is damaged; see d."],
  ['"C:\\Program Files\\a b.onnx" and \\\\server\\share\\x y\\z.png', '"a b.onnx" and z.png'],
  ["http://[::1]:80/tmp/a b/c and http://[::1]/home/x, ws://host/home/a%20b/c", undefined],
  ["of /tmp/a and /tmp/b, 1/2 of /tmp/c is left", "of a and b, 1/2 of c is left"],
])("%s", (message, expected) => {
  expect(withoutPaths(message)).toBe(expected ?? message);
});

test("a folder's name with blanks outside quotes is known by the folder, and the sentence's words stay", () => {
  const root = folder();
  mkdirSync(join(root, "My Models (old)", "of Anna's"), { recursive: true });
  const deep = join(root, "My Models (old)", "of Anna's", "tiny-xl");
  expect(withoutPaths(`${deep} has no unet/config.json, and ${deep}/vae has.`)).toBe(
    "tiny-xl has no unet/config.json, and vae has.",
  );
  expect(withoutPaths(`${root}/My and/or ${root}/Models (old)/x`)).toBe("My and/or Models (old)/x");
  expect(withoutPaths(`nothing at ${join(root, "My Models (old)")}.`)).toBe("nothing at My Models (old).");
});

test("a message made of slashes and blanks does not stall", () => {
  const long = "/tmp/a b ".repeat(20_000);
  expect(withoutPaths(long)).toBe("a b ".repeat(20_000));
  expect(withoutPaths(`"/${"tmp a' ".repeat(20_000)}`)).toContain("tmp a'");
  expect(withoutPaths(`C:\\${"a ".repeat(20_000)}`)).toContain("a a");
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
