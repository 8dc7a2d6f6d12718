import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openKeyAdmin } from "../auth/key-admin.ts";
import { runBench } from "../measure/bench.ts";
import { loadSettings } from "../settings/load.ts";
import type { Settings } from "../settings/schema.ts";
import { freePort } from "../testing/servers.ts";
import { startTestServer } from "../testing/start-test-server.ts";
import { runDoctor } from "./doctor.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-doctor-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function settings(more: Record<string, string> = {}): Promise<Settings> {
  const port = await freePort();
  return loadSettings(
    { KILN_ENGINE: "test", KILN_DATA_DIR: join(folder, "data"), KILN_LISTEN: `${port}=native`, ...more },
    folder,
  );
}

test("a healthy machine is said to be so, with every part named and a picture drawn", async () => {
  const told: string[] = [];
  const { ok, checks } = await runDoctor(await settings(), ({ name }) => told.push(name));
  expect(checks.filter(({ status }) => status === "failed")).toEqual([]);
  expect(ok).toBe(true);
  expect(told).toEqual(["machine", "node", "backend", "disk", "database", "queue", "storage", "ports", "models", "picture"]);
  expect(checks.at(-1)?.data).toMatchObject({ model: "kiln-test", width: 256, steps: 4 });
});

test("what is broken is named, and everything else is still looked at", async () => {
  const other = createServer((_request, response) => response.end("something else"));
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  writeFileSync(join(folder, "file"), "");
  const broken = await settings({
    KILN_LISTEN: `${port}=native`,
    KILN_DATA_DIR: join(folder, "file"),
    DATABASE_URL: "postgres://kiln@127.0.0.1:9/kiln",
    KILN_ENGINE: "diffusion",
    KILN_BACKEND: "onnx",
    KILN_PRECISION: "bfloat16",
  });
  const { ok, checks } = await runDoctor(broken);
  other.close();
  expect(ok).toBe(false);
  const detail = (name: string) => checks.find((check) => check.name === name && check.status === "failed")?.detail;
  expect(detail("ports")).toMatch(/taken by another program/);
  expect(detail("disk")).toMatch(/cannot be written/);
  expect(detail("database")).toMatch(/DATABASE_URL/);
  expect(detail("backend")).toMatch(/bfloat16 needs OpenVINO/);
  expect(detail("picture")).toBeDefined();
  expect(checks.find(({ name }) => name === "machine")?.status).not.toBe("failed");
});

test("beside a running service its database and port are healthy, and keys go through it", async () => {
  const own = await settings();
  const [listener] = own.KILN_LISTEN;
  const server = await startTestServer({ KILN_LISTEN: `${listener?.port}=native` }, own.KILN_DATA_DIR);
  try {
    const { ok, checks } = await runDoctor(own);
    expect(checks.filter(({ status }) => status === "failed")).toEqual([]);
    expect(ok).toBe(true);
    expect(checks.find(({ name }) => name === "database")?.detail).toMatch(/in use by the service at .*ready/);
    expect(checks.find(({ name }) => name === "ports")?.detail).toMatch(/served by a Kiln/);

    const keyless = await openKeyAdmin(own, undefined);
    await expect(keyless.create({ name: "first", role: "user" })).rejects.toThrow(/first key must have the role "admin"/);
    const { key, view } = await keyless.create({ name: "first" });
    expect(view).toMatchObject({ role: "admin", name: "first" });
    await expect(keyless.list()).rejects.toThrow(/KILN_API_KEY/);
    const admin = await openKeyAdmin(own, key);
    expect((await admin.create({ name: "second", ratePerMinute: 5 })).view).toMatchObject({ role: "user", rate_per_minute: 5 });
    expect((await admin.list()).map(({ name }) => name)).toEqual(["first", "second"]);
    await expect(admin.revoke("key_none")).rejects.toThrow(/no key "key_none"/);
  } finally {
    await server.close();
  }
});

test("without a service keys go into the database", async () => {
  const own = await settings();
  const keys = await openKeyAdmin(own, undefined);
  await expect(keys.create({ name: "x", role: "user" })).rejects.toThrow(/first key/);
  const { view } = await keys.create({ name: "x" });
  await keys.revoke(view.id);
  expect(await keys.list()).toEqual([]);
  await keys.close();
});

test("the bench measures what it is asked for", async () => {
  const result = await runBench(await settings(), { count: 6, together: 3, steps: 5, width: 64, height: 64, hourlyRate: 2 });
  expect(result).toMatchObject({ model: "kiln-test", width: 64, height: 64, steps: 5, count: 6, together: 3 });
  expect(result.pictures_per_hour).toBeCloseTo((3600 * 6) / result.seconds, 3);
  expect(result.price_per_picture).toBeCloseTo(2 / result.pictures_per_hour, 9);
  expect(result.seconds_per_step).toBeGreaterThan(0);
});
