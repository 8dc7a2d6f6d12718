import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startS3 } from "../testing/servers.ts";
import { openLocalStorage } from "./local-storage.ts";
import { type S3Options, S3Storage } from "./s3-storage.ts";
import type { Storage } from "./storage.ts";

interface Backing {
  storage: Storage;
  close(): Promise<void>;
}

async function local(survivesPowerLoss = true): Promise<Backing> {
  const folder = mkdtempSync(join(tmpdir(), "kiln-storage-"));
  const storage = await openLocalStorage(folder, undefined, survivesPowerLoss);
  return { storage, close: async () => rmSync(folder, { recursive: true }) };
}

const S3 = { bucket: "pictures", region: "us-east-1", cdn: undefined, presignSeconds: 60 };

async function s3(): Promise<Backing | undefined> {
  const server = await startS3();
  if (!server) return undefined;
  const credentials = { accessKeyId: server.accessKey, secretAccessKey: server.secretKey };
  const options: S3Options = { ...S3, endpoint: server.url, ...credentials };
  const client = new S3Client({ region: "us-east-1", endpoint: server.url, forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: S3.bucket }));
  client.destroy();
  const storage = new S3Storage(options);
  return {
    storage,
    async close() {
      storage.close();
      await server.stop();
    },
  };
}

describe.each([
  ["a folder", () => local()],
  ["a folder whose disk is not waited for", () => local(false)],
  ["S3 (versitygw)", s3],
])("storage in %s", (name, start) => {
  let backing: Backing | undefined;
  let storage: Storage;
  beforeAll(async () => {
    backing = await start();
    if (backing) storage = backing.storage;
  });
  afterAll(async () => {
    await backing?.close();
  });
  beforeEach(({ skip }) => {
    if (!backing) skip(`${name} is not installed here`);
  });

  test("what was put is got, whole", async () => {
    const bytes = randomBytes(3_000_000);
    await storage.put("generated/a/b.png", bytes, "image/png");
    expect((await storage.get("generated/a/b.png"))?.equals(bytes)).toBe(true);
  });

  test("a second put replaces the first", async () => {
    await storage.put("again.png", Buffer.from("one"), "image/png");
    await storage.put("again.png", Buffer.from("two, longer"), "image/png");
    expect((await storage.get("again.png"))?.toString()).toBe("two, longer");
  });

  test("many puts to one key at once leave one of them whole", async () => {
    const versions = Array.from({ length: 8 }, (_, index) => Buffer.alloc(100_000, index));
    await Promise.all(versions.map((bytes) => storage.put("race.png", bytes, "image/png")));
    const found = await storage.get("race.png");
    expect(versions.some((bytes) => found?.equals(bytes))).toBe(true);
  });

  test("what is not there is undefined, and may be deleted", async () => {
    expect(await storage.get("nothing/here.png")).toBeUndefined();
    await storage.delete("nothing/here.png");
    await storage.put("gone.png", Buffer.from("x"), "image/png");
    await storage.delete("gone.png");
    expect(await storage.get("gone.png")).toBeUndefined();
  });

  test("keys are listed by prefix", async () => {
    for (const key of ["list/a/1.png", "list/a/2.png", "list/b/1.png"]) await storage.put(key, Buffer.from("x"), "image/png");
    const found: string[] = [];
    for await (const key of storage.list("list/a/")) found.push(key);
    expect(found.sort()).toEqual(["list/a/1.png", "list/a/2.png"]);
  });

  test.each([
    "../out.png",
    "a/../../out.png",
    "/etc/passwd",
    "a//b",
    ".hidden",
    "a/.part",
    "a\\b",
    "a\0b",
    "",
    "a/",
    "%2e%2e/x",
    "é.png",
  ])("the key %j is refused", async (key) => {
    await expect(storage.put(key, Buffer.from("x"), "image/png")).rejects.toThrow(/no storage key/);
    await expect(storage.get(key)).rejects.toThrow(/no storage key/);
  });

  test("it says that it is ready", async () => {
    await storage.check();
  });

  test("an address of its own works without a key", async () => {
    await storage.put("signed.png", Buffer.from("signed"), "image/png");
    const address = await storage.address("signed.png");
    if (storage.kind === "local") expect(address).toBeUndefined();
    else expect(await (await fetch(address ?? "")).text()).toBe("signed");
  });
});

test("a link inside the folder that leads out is not followed", async () => {
  const root = mkdtempSync(join(tmpdir(), "kiln-storage-"));
  mkdirSync(join(root, "pictures"));
  mkdirSync(join(root, "outside"));
  writeFileSync(join(root, "outside", "secret.png"), "secret");
  symlinkSync(join(root, "outside"), join(root, "pictures", "way"));
  symlinkSync(join(root, "outside", "secret.png"), join(root, "pictures", "file.png"));
  const storage = await openLocalStorage(join(root, "pictures"));
  await expect(storage.get("way/secret.png")).rejects.toThrow(/leads out/);
  await expect(storage.put("way/new.png", Buffer.from("x"), "image/png")).rejects.toThrow(/leads out/);
  expect(await storage.get("file.png")).toBeUndefined();
  expect(readdirSync(join(root, "outside"))).toEqual(["secret.png"]);
  rmSync(root, { recursive: true });
});
