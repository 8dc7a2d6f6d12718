import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../jobs/ids.ts";
import { type Database, openDatabase } from "../records/database.ts";
import type { Priority } from "../records/schema.ts";
import { type StartedServer, startPostgres, startRedis } from "../testing/servers.ts";
import { databaseBackend, type QueueBackend, redisBackend } from "./backend.ts";
import { openQueue } from "./bull-queue.ts";
import type { JobQueue, Outcome, QueueWorker } from "./job-queue.ts";

interface Backing {
  open(): Promise<QueueBackend>;
  close(): Promise<void>;
}

async function embedded(): Promise<Backing> {
  const dataDir = mkdtempSync(join(tmpdir(), "kiln-queue-"));
  const database: Database = await openDatabase({ dataDir });
  return {
    open: () => databaseBackend("embedded", database.queuePool),
    async close() {
      await database.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function postgres(): Promise<Backing | undefined> {
  const server = await startPostgres();
  if (!server) return undefined;
  const database = await openDatabase({ url: server.url, dataDir: "" });
  return {
    open: () => databaseBackend("postgres", database.queuePool),
    async close() {
      await database.close();
      await server.stop();
    },
  };
}

async function redis(): Promise<Backing | undefined> {
  const server: StartedServer | undefined = await startRedis();
  if (!server) return undefined;
  return { open: async () => redisBackend(server.url), close: () => server.stop() };
}

/** Nobody dies here: a lock that ran out on a busy machine would only bring a job twice. */
const LOCK = 30_000;
const HOLD: Record<Priority, number> = { urgent: 1, high: 1, normal: 1 };

describe.each([
  ["embedded", embedded],
  ["postgres", postgres],
  ["redis", redis],
])("the queue on %s", (name, start) => {
  let backing: Backing | undefined;
  let backend: QueueBackend;
  let queue: JobQueue;
  beforeAll(async () => {
    backing = await start();
    if (!backing) return;
    backend = await backing.open();
    queue = await openQueue(backend, () => {});
  });
  afterAll(async () => {
    if (!backing) return;
    await queue.close();
    await backend.close();
    await backing.close();
  });
  beforeEach(({ skip }) => {
    if (!backing) skip(`${name} is not installed here`);
  });

  const entry = (fairTag = 0, priority: Priority = "normal") => ({ id: newId("job"), priority, fairTag });
  const work = (handle: (id: string) => Promise<Outcome>, hold = HOLD): Promise<QueueWorker> =>
    queue.work(({ id }) => handle(id), { hold, lockMilliseconds: LOCK, onError: () => {} });

  test("jobs come in the order of their tags, then of their arrival", async () => {
    const entries = [entry(5), entry(1), entry(1), entry(0)];
    for (const each of entries) await queue.add([each]);
    expect((await queue.counts()).waiting.normal).toBe(4);
    const seen: string[] = [];
    const worker = await work(async (id) => {
      seen.push(id);
      return "done";
    });
    await until(() => seen.length === 4);
    await worker.close();
    expect(seen).toEqual([entries[3], entries[1], entries[2], entries[0]].map((each) => each?.id));
    expect(await queue.counts()).toEqual({ waiting: { urgent: 0, high: 0, normal: 0 }, active: 0 });
  });

  test("an urgent job is taken while a normal one is held", async () => {
    const normal = entry();
    const urgent = entry(0, "urgent");
    const taken: string[] = [];
    let finishNormal = () => {};
    const worker = await work(async (id) => {
      taken.push(id);
      if (id === normal.id) await new Promise<void>((resolve) => (finishNormal = resolve));
      return "done";
    });
    await queue.add([normal]);
    await until(() => taken.includes(normal.id));
    await queue.add([urgent]);
    await until(() => taken.includes(urgent.id));
    finishNormal();
    await worker.close();
  });

  test("the same job added twice runs once", async () => {
    const each = entry();
    await queue.add([each, entry(1)]);
    await queue.add([each]);
    const seen: string[] = [];
    const worker = await work(async (id) => {
      seen.push(id);
      return "done";
    });
    await until(() => seen.length >= 2);
    await sleep(200);
    await worker.close();
    expect(seen.filter((id) => id === each.id)).toHaveLength(1);
  });

  test("a job that is removed never comes, and is known to be gone", async () => {
    const [removed, kept] = [entry(), entry(1)];
    await queue.add([removed, kept]);
    expect(await queue.has(removed)).toBe(true);
    expect(await queue.remove(removed)).toBe(true);
    expect(await queue.remove(removed)).toBe(false);
    expect(await queue.has(removed)).toBe(false);
    const seen: string[] = [];
    const worker = await work(async (id) => {
      seen.push(id);
      return "done";
    });
    await until(() => seen.length === 1);
    await worker.close();
    expect(seen).toEqual([kept.id]);
  });

  test("a job that is handed back comes again, before others of its priority with a larger tag", async () => {
    const [first, second] = [entry(0), entry(7)];
    await queue.add([first, second]);
    const seen: string[] = [];
    const worker = await work(async (id) => {
      seen.push(id);
      return seen.length === 1 ? "hand-back" : "done";
    });
    await until(() => seen.length === 3);
    await worker.close();
    expect(seen).toEqual([first.id, first.id, second.id]);
  });

  test("a job whose handler raises comes again after a pause", async () => {
    const each = entry();
    await queue.add([each]);
    let tries = 0;
    const worker = await work(async () => {
      if (++tries === 1) throw new Error("the records are away");
      return "done";
    });
    await until(() => tries === 2);
    await worker.close();
    expect(await queue.has(each)).toBe(false);
  });

  test("close waits for the jobs that are held, and takes no other", async () => {
    await queue.add([entry(0), entry(1)]);
    let started = 0;
    let finish = () => {};
    const worker = await work(async () => {
      started++;
      await new Promise<void>((resolve) => (finish = resolve));
      return "done";
    });
    await until(() => started === 1);
    const closing = worker.close();
    finish();
    await closing;
    expect(started).toBe(1);
    expect((await queue.counts()).waiting.normal).toBe(1);
    const rest = await work(async () => "done");
    await until(async () => (await queue.counts()).waiting.normal === 0);
    await rest.close();
  });
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (await condition()) return;
    await sleep(20);
  }
  throw new Error("it never happened");
}
