import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadSettings } from "../../settings/load.ts";
import type { Settings } from "../../settings/schema.ts";
import { COMMIT, ModelHub, sha256 } from "../../testing/model-hub.ts";
import { type PullOptions, type PullProgress, pullModel } from "./pull.ts";
import { Receipts } from "./receipts.ts";
import { parseSource } from "./source.ts";

let folder: string;
let hub: ModelHub;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "kiln-pull-"));
  hub = new ModelHub();
  await hub.start();
});
afterEach(async () => {
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
});

const WEIGHTS = randomBytes(300_000);
const CONFIG = Buffer.from('{"_class_name":"ControlNetModel"}');
const REPOSITORY = {
  files: {
    "config.json": CONFIG,
    "diffusion_pytorch_model.safetensors": WEIGHTS,
    "diffusion_pytorch_model.bin": Buffer.from("pickle"),
    "README.md": Buffer.from("words"),
  },
};

function settings(more: Record<string, string> = {}): Settings {
  const environment = {
    KILN_DATA_DIR: join(folder, "data"),
    MODELS_DIR: join(folder, "models"),
    HF_ENDPOINT: hub.url,
    CIVITAI_ENDPOINT: hub.url,
    ...more,
  };
  return loadSettings(environment, folder);
}

async function pull(source: string, more: Partial<PullOptions> = {}, own: Record<string, string> = {}) {
  const news: PullProgress[] = [];
  const pulled = await pullModel(parseSource(source), {
    settings: settings(own),
    signal: new AbortController().signal,
    onProgress: (progress) => news.push(progress),
    pauses: [1, 1, 1],
    ...more,
  });
  return { ...pulled, news };
}

/** Every file under a folder, by its path. */
function filesIn(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

test("a repository comes into MODELS_DIR, whole, with progress, and goes again", async () => {
  hub.repositories["org/name"] = REPOSITORY;
  const { root, news, fetched } = await pull("org/name");
  expect(root).toBe(join(folder, "models", "org--name"));
  expect(filesIn(root)).toEqual(["config.json", "diffusion_pytorch_model.safetensors"]);
  expect(readFileSync(join(root, "diffusion_pytorch_model.safetensors")).equals(WEIGHTS)).toBe(true);
  expect(fetched).toBe(WEIGHTS.length + CONFIG.length);
  expect(news.at(0)).toMatchObject({ phase: "listing" });
  expect(news.at(-1)).toMatchObject({ filesTotal: 2, bytesDone: fetched, bytesTotal: fetched });
  const steps = news.map(({ bytesDone }) => bytesDone);
  expect(steps).toEqual([...steps].sort((a, b) => a - b));
  // The second time nothing is missing.
  const before = hub.downloads.length;
  expect(await pull("org/name")).toMatchObject({ fetched: 0 });
  expect(hub.downloads.length).toBe(before);
  // A neighbour's file in the same folder stays.
  writeFileSync(join(root, "mine.txt"), "mine");
  expect(await new Receipts(join(folder, "data")).removeModel("org--name", root)).toBe(fetched);
  expect(filesIn(root)).toEqual(["mine.txt"]);
  expect(filesIn(join(folder, "data"))).toEqual([]);
});

test("with HF_HOME it comes into the cache as it is on disk, and goes again without a trace", async () => {
  hub.repositories["org/name"] = REPOSITORY;
  const home = join(folder, "hf");
  const { root } = await pull("org/name@v1", {}, { HF_HOME: home });
  const snapshot = join(root, "snapshots", COMMIT);
  expect(root).toBe(join(home, "hub", "models--org--name"));
  expect(readFileSync(join(root, "refs", "v1"), "utf8")).toBe(COMMIT);
  expect(lstatSync(join(snapshot, "diffusion_pytorch_model.safetensors")).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(root, "blobs", sha256(WEIGHTS))).equals(WEIGHTS)).toBe(true);
  expect(readFileSync(join(snapshot, "config.json")).equals(CONFIG)).toBe(true);
  expect(filesIn(join(root, "blobs"))).toHaveLength(2);
  await new Receipts(join(folder, "data")).removeModel("org/name", snapshot);
  expect(existsSync(root)).toBe(false);
});

test("a content that another program has put into the cache is used, and not removed", async () => {
  hub.repositories["org/name"] = REPOSITORY;
  const home = join(folder, "hf");
  const blobs = join(home, "hub", "models--org--name", "blobs");
  mkdirSync(blobs, { recursive: true });
  writeFileSync(join(blobs, sha256(WEIGHTS)), WEIGHTS);
  const { root, fetched } = await pull("org/name", {}, { HF_HOME: home });
  expect(fetched).toBe(CONFIG.length);
  expect(readFileSync(join(root, "snapshots", COMMIT, "diffusion_pytorch_model.safetensors")).equals(WEIGHTS)).toBe(true);
  await new Receipts(join(folder, "data")).removeModel("org/name", join(root, "snapshots", COMMIT));
  expect(existsSync(join(blobs, sha256(WEIGHTS)))).toBe(true);
});

test("a model that was not pulled is not removed", async () => {
  mkdirSync(join(folder, "models", "own"), { recursive: true });
  await expect(new Receipts(join(folder, "data")).removeModel("own", join(folder, "models", "own"))).rejects.toMatchObject({
    code: "conflict",
  });
});

test("the token goes to the hub and not to where it redirects", async () => {
  hub.repositories["org/name"] = { ...REPOSITORY, token: "hf_secret" };
  await pull("org/name", {}, { HF_TOKEN: "hf_secret" });
  expect(
    hub.requests.filter(({ host }) => host === "hub").every(({ authorization }) => authorization === "Bearer hf_secret"),
  ).toBe(true);
  expect(hub.downloads.length).toBeGreaterThan(0);
  expect(hub.downloads.every(({ authorization }) => authorization === undefined)).toBe(true);
});

test.each([
  ["broken off twice", { truncate: 2 }],
  ["stalled once", { stall: 1 }],
  ["away twice", { away: 2 }],
])("a download that is %s goes on where it was", async (_name, faults) => {
  hub.repositories["org/name"] = { files: { "a.safetensors": WEIGHTS } };
  hub.faults = { ...faults };
  const { root } = await pull("org/name", { stallMilliseconds: 300 });
  expect(readFileSync(join(root, "a.safetensors")).equals(WEIGHTS)).toBe(true);
  const ranges = hub.downloads.map(({ range }) => range);
  if (!("away" in faults)) expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ""))).toBe(true);
});

test("after the end of the process the next pull goes on from the file on disk", async () => {
  hub.repositories["org/name"] = { files: { "a.safetensors": WEIGHTS } };
  hub.faults = { truncate: 100 };
  await expect(pull("org/name", { pauses: [] })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/broke off|ended/),
  });
  const [partial] = filesIn(join(folder, "models")).filter((path) => path.endsWith(".partial"));
  expect(partial).toBeDefined();
  expect(existsSync(join(folder, "models", "org--name"))).toBe(false);
  hub.faults = {};
  const { root, news } = await pull("org/name");
  expect(hub.downloads.at(-1)?.range).toMatch(/^bytes=[1-9]/);
  expect(news.find(({ phase }) => phase === "downloading")?.bytesDone).toBeGreaterThan(0);
  expect(readFileSync(join(root, "a.safetensors")).equals(WEIGHTS)).toBe(true);
  expect(filesIn(join(folder, "models"))).toEqual(["org--name/a.safetensors"]);
});

test("a beginning that is another file's is found out and fetched anew", async () => {
  hub.repositories["org/name"] = { files: { "a.safetensors": WEIGHTS } };
  hub.faults = { truncate: 100 };
  await expect(pull("org/name", { pauses: [] })).rejects.toThrow();
  const [partial = ""] = filesIn(join(folder, "models")).filter((path) => path.endsWith(".partial"));
  writeFileSync(join(folder, "models", partial), randomBytes(1000));
  hub.faults = {};
  const { root } = await pull("org/name");
  expect(readFileSync(join(root, "a.safetensors")).equals(WEIGHTS)).toBe(true);
});

test("a server that ignores ranges sends everything again", async () => {
  hub.repositories["org/name"] = { files: { "a.safetensors": WEIGHTS } };
  hub.faults = { truncate: 1, ignoreRange: true };
  const { root } = await pull("org/name");
  expect(readFileSync(join(root, "a.safetensors")).equals(WEIGHTS)).toBe(true);
});

test.each(["a.safetensors", "config.json"])("wrong bytes of %s are refused and removed", async (path) => {
  hub.repositories["org/name"] = { files: { "diffusion_pytorch_model.safetensors": WEIGHTS, "config.json": CONFIG } };
  if (path === "a.safetensors") hub.repositories["org/name"] = { files: { [path]: WEIGHTS } };
  hub.faults = { corrupt: true };
  await expect(pull("org/name")).rejects.toMatchObject({ code: "hash_mismatch", message: expect.stringContaining(path) });
  expect(filesIn(join(folder, "models"))).toEqual([]);
});

test("the disk is looked at before anything is fetched", async () => {
  hub.repositories["org/name"] = REPOSITORY;
  const refused = pull("org/name", { freeBytes: async () => 512 * 1024 * 1024 + WEIGHTS.length });
  await expect(refused).rejects.toMatchObject({ code: "storage_full", message: expect.stringMatching(/free/) });
  expect(hub.downloads).toEqual([]);
});

test("a cancelled download keeps what has arrived", async () => {
  hub.repositories["org/name"] = { files: { "a.safetensors": WEIGHTS } };
  hub.faults = { stall: 5 };
  const abort = new AbortController();
  const refused = pull("org/name", { signal: abort.signal, onProgress: ({ bytesDone }) => bytesDone > 0 && abort.abort() });
  await expect(refused).rejects.toMatchObject({ code: "cancelled" });
  expect(filesIn(join(folder, "models")).filter((path) => path.endsWith(".partial"))).toHaveLength(1);
});

test.each([
  ["nobody/nothing", {}, "not_found", /no model nobody\/nothing.*HF_TOKEN/],
  ["nobody/nothing", { HF_TOKEN: "t" }, "not_found", /no model nobody\/nothing/],
  ["org/private", {}, "not_found", /private and needs HF_TOKEN/],
  ["org/private", { HF_TOKEN: "wrong" }, "unauthorized", /does not take HF_TOKEN/],
  ["org/gated", { HF_TOKEN: "wrong" }, "forbidden", /accept its terms/],
  ["org/name@v9", {}, "not_found", /no revision "v9"/],
  ["org/name:b.safetensors", {}, "not_found", /no file "b.safetensors"/],
  ["civitai:404", {}, "not_found", /Civitai has no version 404/],
])("%s with %j is refused as %s", async (source, own, code, message) => {
  hub.repositories["org/name"] = { files: { "a.safetensors": WEIGHTS } };
  hub.repositories["org/private"] = { ...REPOSITORY, token: "right" };
  hub.repositories["org/gated"] = { ...REPOSITORY, token: "right", gated: true };
  await expect(pull(source, {}, own)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect(filesIn(join(folder, "models"))).toEqual([]);
});

test("a listing cannot name places outside its folder", async () => {
  hub.repositories["org/name"] = { files: { "../../escaped.safetensors": WEIGHTS, "a.safetensors": WEIGHTS } };
  const { root } = await pull("org/name");
  expect(filesIn(root)).toEqual(["a.safetensors"]);
  expect(filesIn(folder).some((path) => path.includes("escaped"))).toBe(false);
});

test("an endpoint that does not answer, or is no hub, is said to be so", async () => {
  const page = createServer((_request, response) => response.end("<html>"));
  await new Promise<void>((resolve) => page.listen(0, "127.0.0.1", resolve));
  const { port } = page.address() as AddressInfo;
  const endpoint = { HF_ENDPOINT: `http://127.0.0.1:${port}` };
  await expect(pull("org/name", {}, endpoint)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/is the endpoint right/),
  });
  await new Promise((resolve) => page.close(resolve));
  await expect(pull("org/name", {}, endpoint)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/cannot be reached: ECONNREFUSED, also after 4 attempts/),
  });
});

function civitaiVersion(id: number, more: object = {}) {
  const file = (name: string, extra: object) => ({
    name,
    sizeKB: WEIGHTS.length / 1024,
    type: "Model",
    downloadUrl: `${hub.url}/api/download/models/${id}`,
    metadata: { format: "SafeTensor", fp: "fp16", size: "pruned" },
    hashes: { SHA256: sha256(WEIGHTS).toUpperCase() },
    ...extra,
  });
  return {
    id,
    files: [
      file("style.ckpt", { metadata: { format: "PickleTensor" }, primary: true }),
      file("Training.safetensors", { type: "Training Data" }),
      file("../My Style v1.safetensors", { primary: true, ...more }),
    ],
  };
}

test("Civitai: the newest version's safetensors, with the account's token, under a harmless name", async () => {
  hub.civitai["models/7"] = { id: 7, modelVersions: [{ id: 71 }, { id: 70 }] };
  hub.civitai["model-versions/71"] = civitaiVersion(71);
  hub.civitaiFiles["71"] = { content: WEIGHTS, token: "civ" };
  await expect(pull("https://civitai.com/models/7/my-style")).rejects.toMatchObject({
    code: "unauthorized",
    message: expect.stringMatching(/CIVITAI_TOKEN/),
  });
  const { root } = await pull("https://civitai.com/models/7/my-style", {}, { CIVITAI_TOKEN: "civ" });
  expect(root).toBe(join(folder, "models", "civitai--71"));
  expect(filesIn(root)).toEqual(["My_Style_v1.safetensors"]);
  expect(hub.downloads.every(({ authorization }) => authorization === undefined)).toBe(true);
});

test("Civitai: a wrong hash is refused", async () => {
  hub.civitai["model-versions/71"] = civitaiVersion(71, { hashes: { SHA256: sha256(CONFIG) } });
  hub.civitaiFiles["71"] = { content: WEIGHTS };
  await expect(pull("civitai:71")).rejects.toMatchObject({ code: "hash_mismatch" });
  expect(filesIn(join(folder, "models"))).toEqual([]);
});
