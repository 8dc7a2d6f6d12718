import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REFERENCE_FOLDER } from "../testing/model-folders.ts";
import { ModelHub } from "../testing/model-hub.ts";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

let hub: ModelHub;
let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kiln-pulls-"));
  hub = new ModelHub();
  await hub.start();
  server = await startTestServer({
    KILN_ENGINE: "diffusion",
    MODELS_DIR: join(folder, "models"),
    HF_HOME: join(folder, "hf"),
    HF_ENDPOINT: hub.url,
  });
});
afterAll(async () => {
  await server.close();
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A folder as a repository of the hub. */
function repositoryOf(root: string): Record<string, Buffer> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => join(entry.parentPath, entry.name)).map((path) => [relative(root, path), readFileSync(path)]),
  );
}

async function modelIds(): Promise<string[]> {
  const { json } = await server.call("GET", "/v1/models");
  return (json as { data: { id: string }[] }).data.map(({ id }) => id);
}

async function events(id: string): Promise<{ status: string; models: string[]; error?: { code: string } }[]> {
  const response = await fetch(`${server.url}/v1/models/pulls/${id}/events`);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  return [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data));
}

const reference = REFERENCE_FOLDER === undefined ? test.skip : test;

reference("a pulled checkpoint can be named at once, its events end with it, and it can be removed", async () => {
  hub.repositories["org/tiny"] = { files: repositoryOf(join(REFERENCE_FOLDER ?? "", "tiny-xl")) };
  const started = await server.call("POST", "/v1/models/pull", { source: "org/tiny" });
  expect(started.status).toBe(202);
  const { id } = started.json as { id: string };
  expect(started.headers.get("location")).toBe(`/v1/models/pulls/${id}`);
  const news = await events(id);
  expect(news.at(-1)).toMatchObject({ status: "completed", models: ["org/tiny"], files_done: 18, files_total: 18 });
  expect((await server.call("GET", `/v1/models/pulls/${id}`)).json).toMatchObject({ status: "completed", models: ["org/tiny"] });
  expect(await modelIds()).toContain("org/tiny");
  const job = await server.call("POST", "/v1/jobs", { model: "org/tiny", prompt: "a house", steps: 1, width: 64, height: 64 });
  expect(job.status).toBe(202);
  await server.context.jobs.wait((job.json as { id: string }).id, { ...LOCAL });

  const removed = await server.call("DELETE", "/v1/models/org%2Ftiny");
  expect(removed).toMatchObject({ status: 200, json: { id: "org/tiny" } });
  expect(await modelIds()).not.toContain("org/tiny");
  expect(existsSync(join(folder, "hf", "hub", "models--org--tiny"))).toBe(false);
});

const LOCAL = {
  owner: "local",
  role: "admin" as const,
  ratePerMinute: undefined,
  quotaPicturesPerDay: undefined,
  contentCeiling: undefined,
};

reference("a model that the operator put there is not removed", async () => {
  cpSync(join(REFERENCE_FOLDER ?? "", "loras", "peft.safetensors"), join(folder, "models", "own.safetensors"), {
    recursive: true,
  });
  await server.call("POST", "/v1/models/refresh");
  expect(await modelIds()).toContain("own");
  expect(await server.call("DELETE", "/v1/models/own")).toMatchObject({ status: 409, json: { detail: /not pulled by Kiln/ } });
  expect(await modelIds()).toContain("own");
});

test("a download can be cancelled, and what cannot be pulled says why", async () => {
  hub.repositories["org/slow"] = { files: { "a.safetensors": Buffer.alloc(100_000, 7) } };
  hub.faults = { stall: 10 };
  const { json } = await server.call("POST", "/v1/models/pull", { source: "org/slow" });
  const { id } = json as { id: string };
  // The same again is the same download; another one waits for its turn.
  expect((await server.call("POST", "/v1/models/pull", { source: "org/slow" })).json).toMatchObject({ id });
  const second = (await server.call("POST", "/v1/models/pull", { source: "org/nothing" })).json as { id: string };
  expect((await server.call("POST", `/v1/models/pulls/${id}/cancel`)).status).toBe(200);
  expect((await events(id)).at(-1)).toMatchObject({ status: "cancelled" });
  hub.faults = {};
  expect((await events(second.id)).at(-1)).toMatchObject({ status: "failed", error: { code: "not_found" } });
  const list = (await server.call("GET", "/v1/models/pulls")).json as { data: { id: string }[] };
  expect(list.data.slice(0, 2).map((pull) => pull.id)).toEqual([second.id, id]);
});

test.each([
  [{ source: "../etc/passwd" }, 422, "source"],
  [{ source: "civitai:1", into: "cache" }, 422, "source"],
  [{ source: 5 }, 422, "source"],
  [{}, 422, "source"],
  [{ source: "org/name", into: "elsewhere" }, 422, "into"],
])("%j is refused", async (body, status, field) => {
  expect(await server.call("POST", "/v1/models/pull", body)).toMatchObject({ status, json: { field } });
});

test("an unknown download and an unknown model are not found", async () => {
  for (const path of ["/v1/models/pulls/pull_x", "/v1/models/pulls/pull_x/events"])
    expect((await server.call("GET", path)).status).toBe(404);
  expect((await server.call("DELETE", "/v1/models/nothing")).status).toBe(404);
});
