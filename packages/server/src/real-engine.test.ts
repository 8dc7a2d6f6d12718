import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JobView } from "./jobs/job-view.ts";
import { startTestServer, type TestServer } from "./testing/start-test-server.ts";

const places = ["../../../../shared/reference/checkpoints", "../../diffusion/fixtures/reference/checkpoints"];
const checkpoints = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((path) => existsSync(path));

describe.skipIf(!checkpoints)("with the small reference checkpoints", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ KILN_ENGINE: "diffusion", MODELS_DIR: checkpoints ?? "", KILN_DEFAULT_MODEL: "tiny-xl" });
  });
  afterAll(async () => {
    await server.close();
  });

  async function run(request: object): Promise<JobView> {
    const created = await server.call("POST", "/v1/jobs", request);
    expect(created.json).toMatchObject({ status: "queued" });
    const { id } = created.json as JobView;
    for (;;) {
      const job = (await server.call("GET", `/v1/jobs/${id}`)).json as JobView;
      if (["completed", "failed"].includes(job.status)) return job;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function bytes(job: JobView): Promise<Buffer> {
    return Buffer.from(await (await fetch(server.url + job.images[0]?.url)).arrayBuffer());
  }

  test("the catalogue tells the kinds apart", async () => {
    const { json } = await server.call("GET", "/v1/models");
    const models = (json as { data: { id: string; kind: string; family: string | null; default: boolean }[] }).data;
    const find = (id: string) => models.find((model) => model.id === id);
    expect(find("tiny-xl")).toMatchObject({ kind: "checkpoint", family: "sdxl", default: true });
    expect(find("tiny-sd15")).toMatchObject({ kind: "checkpoint", family: "sd15" });
    expect(find("tiny-xl-refiner")).toMatchObject({ kind: "checkpoint", family: "sdxl-refiner" });
    expect(models.filter(({ kind }) => kind === "controlnet")).not.toHaveLength(0);
    expect(models.filter(({ kind }) => kind === "lora")).not.toHaveLength(0);
  });

  test("the same seed makes the same picture, alone and beside others", async () => {
    const request = {
      prompt: "a red fox",
      width: 64,
      height: 64,
      steps: 3,
      seed: "18446744073709551615",
      output: { metadata: false },
    };
    const alone = await run(request);
    expect(alone.error).toBeUndefined();
    const [one, other] = await Promise.all([run(request), run({ ...request, prompt: "a blue bird", seed: 2, steps: 5 })]);
    expect((await bytes(alone)).equals(await bytes(one))).toBe(true);
    expect((await bytes(one)).equals(await bytes(other))).toBe(false);
  });

  test("a model is warmed up, its bytes are told, and it can be dropped", async () => {
    const loaded = async () => {
      const { memory } = (await server.call("GET", "/v1/system")).json as { memory: { models?: Record<string, number> } };
      return memory.models ?? {};
    };
    const until = async (done: (models: Record<string, number>) => boolean) => {
      for (;;) {
        const models = await loaded();
        if (done(models)) return models;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    expect((await server.call("POST", "/v1/models/tiny-sd15/load")).status).toBe(202);
    // Text encoder, UNet and VAE have been compiled: their weights are some megabytes.
    expect((await until((models) => (models["tiny-sd15"] ?? 0) > 0))["tiny-sd15"]).toBeGreaterThan(100_000);
    expect((await server.call("POST", "/v1/models/tiny-sd15/unload")).status).toBe(202);
    expect(Object.keys(await until((models) => !("tiny-sd15" in models)))).not.toContain("tiny-sd15");
  });

  test("an image, a mask and a LoRA reach the engine", async () => {
    const first = await run({ prompt: "x", width: 64, height: 64, steps: 2, seed: 1 });
    const image = `image:${first.images[0]?.id}`;
    const loras = ((await server.call("GET", "/v1/models")).json as { data: { id: string; kind: string }[] }).data.filter(
      ({ kind }) => kind === "lora",
    );
    const job = await run({
      prompt: "y",
      image,
      mask: image,
      strength: 0.6,
      steps: 4,
      width: 64,
      height: 64,
      loras: [{ name: loras[0]?.id, weight: 0.5 }],
    });
    expect(job.error?.code === undefined || job.error.code === "adapter_mismatch").toBe(true);
    expect(await run({ prompt: "y", image, strength: 0.6, steps: 4, width: 64, height: 64 })).toMatchObject({
      status: "completed",
    });
  });
});
