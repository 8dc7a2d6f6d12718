import { mkdtempSync, openAsBlob, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadSettings, startServer } from "@kiln/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { main } from "../src/index.ts";

/** Any photo will do. */
const PHOTO = fileURLToPath(new URL("../../../docs/demo.webp", import.meta.url));

let folder: string;
let out: string;
let err: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-cli-"));
  const own = {
    KILN_DATA_DIR: join(folder, "data"),
    MODELS_DIR: join(folder, "models"),
    KILN_LISTEN: "127.0.0.1:0=native",
    KILN_ENGINE: "test",
  };
  for (const [name, value] of Object.entries(own)) vi.stubEnv(name, value);
  out = "";
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function kiln(...words: string[]): Promise<string> {
  out = "";
  process.exitCode = undefined;
  await main(["node", "kiln", ...words]);
  return out;
}

test("keys are created, listed and revoked", async () => {
  const key = (await kiln("keys", "create", "laptop")).trim();
  expect(key).toMatch(/^kiln_[\w-]{43}$/);
  const [first] = JSON.parse(await kiln("keys", "list", "--json"));
  expect(first).toMatchObject({ name: "laptop", role: "admin" });
  expect(JSON.stringify(first)).not.toContain(key);
  await kiln("keys", "delete", first.id);
  expect(JSON.parse(await kiln("keys", "list", "--json"))).toEqual([]);
  await kiln("keys", "delete", "key_none");
  expect(process.exitCode).toBe(1);
  expect(err).toMatch(/no key "key_none"/);
});

test("nothing is served where the model that was typed is not there", async () => {
  await kiln("serve", "--model", "nowhere.safetensors");
  expect([process.exitCode, err]).toEqual([
    1,
    expect.stringMatching(/no checkpoint "nowhere\.safetensors".*\[model_not_found\]\n$/),
  ]);
});

test("checkpoints come into and out of the running service's memory, whose size it tells", async () => {
  await kiln("gpu");
  expect([process.exitCode, err]).toEqual([1, expect.stringMatching(/No service answers/)]);
  const server = await startServer(loadSettings());
  try {
    vi.stubEnv("KILN_LISTEN", `${new URL(server.listeners[0]?.url ?? "").host}=native`);
    const { key } = await server.context.keys.create({ name: "admin", role: "admin" });
    await kiln("models", "load", "kiln-test");
    expect([process.exitCode, err]).toEqual([1, expect.stringMatching(/KILN_API_KEY/)]);
    vi.stubEnv("KILN_API_KEY", key);
    await kiln("models", "load", "kiln-test");
    expect(process.exitCode).toBeUndefined();
    await expect.poll(() => server.context.supervisor?.loaded).toEqual(["kiln-test"]);
    const status = JSON.parse(await kiln("gpu"));
    const memory = { allocated_gb: expect.any(Number), reserved_gb: expect.any(Number), max_allocated_gb: expect.any(Number) };
    expect(status).toEqual({ status: "cpu", memory });
    expect(status.memory.allocated_gb).toBeGreaterThan(0);
    await kiln("models", "unload");
    await expect.poll(() => server.context.supervisor?.loaded).toEqual([]);
    err = "";
    await kiln("models", "unload", "nobody");
    expect([process.exitCode, err]).toEqual([1, expect.stringMatching(/no checkpoint "nobody"/)]);
  } finally {
    await server.close();
  }
});

test("doctor says in its exit code whether all is well", async () => {
  const found = JSON.parse(await kiln("doctor", "--json"));
  expect(found.ok).toBe(true);
  expect(process.exitCode).toBeUndefined();
  vi.stubEnv("KILN_ENGINE", "diffusion");
  vi.stubEnv("KILN_BACKEND", "onnx");
  vi.stubEnv("KILN_PRECISION", "bfloat16");
  expect(await kiln("doctor")).toMatch(/FAILED +backend +bfloat16 needs OpenVINO[\s\S]*is broken/);
  expect(process.exitCode).toBe(1);
});

test("bench prints pictures an hour and a price", async () => {
  const text = await kiln("bench", "--count", "2", "--steps", "3", "--size", "64x64", "--hourly-rate", "0.5");
  expect(text).toMatch(
    /kiln-test, 64 x 64, 3 steps[\s\S]*pictures an hour +[\d.]+[\s\S]*price of a picture +[\d.e-]+ at 0.5 an hour/,
  );
});

test("models are listed, and what cannot be fetched or removed says why", async () => {
  expect(JSON.parse(await kiln("models", "list", "--json"))).toMatchObject([{ id: "kiln-test" }]);
  for (const [words, reason] of [
    [["models", "pull", "nonsense"], /is no source/],
    [["models", "pull", "civitai:1", "--into", "cache"], /go into MODELS_DIR/],
    [["models", "delete", "nothing"], /no model "nothing"/],
    [["models", "delete", "kiln-test"], /not pulled by Kiln/],
  ] as const) {
    err = "";
    await kiln(...words);
    expect(process.exitCode).toBe(1);
    expect(err).toMatch(reason);
  }
});

test("jobs of the views service are processed anew", async () => {
  await kiln("views", "process", "1");
  expect([process.exitCode, err]).toEqual([1, expect.stringMatching(/no listener of the views dialect/)]);
  vi.stubEnv("KILN_LISTEN", "127.0.0.1:0=native,127.0.0.1:0=views");
  const server = await startServer(loadSettings());
  try {
    const url = server.listeners.find(({ dialect }) => dialect === "views")?.url ?? "";
    vi.stubEnv("KILN_LISTEN", `${new URL(url).host}=views`);
    const form = new FormData();
    form.set("original_image", await openAsBlob(PHOTO), "photo.webp");
    const read = async (path: string, init: RequestInit = {}) =>
      (await (await fetch(url + path, init)).json()) as { id: number; status: string };
    const { id } = await read("/api/jobs/", { method: "POST", body: form });
    const status = async () => (await read(`/api/jobs/${id}/`)).status;
    await expect.poll(status).toBe("completed");
    const answer = JSON.parse(await kiln("views", "process", String(id), String(id)));
    expect(answer).toEqual({ jobs: [{ id, status: expect.stringMatching(/^(queued|processing)$/) }] });
    await expect.poll(status).toBe("completed");

    for (const [word, reason] of [
      ["999999", /no job 999999/],
      ["one", /whole number, not "one"/],
    ] as const) {
      err = "";
      await kiln("views", "process", word);
      expect([process.exitCode, err]).toEqual([1, expect.stringMatching(reason)]);
    }
  } finally {
    await server.close();
  }
});
