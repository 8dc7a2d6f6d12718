import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect } from "vitest";
import type { JobView } from "../jobs/job-view.ts";

/** What tests that kill things share. */

/** Run in reverse order after each test. */
export const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "kiln-faults-"));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export async function readAll(url: string, ids: Iterable<string>): Promise<JobView[]> {
  const jobs: JobView[] = [];
  for (const id of ids) {
    const response = await fetch(`${url}/v1/jobs/${id}`);
    expect(response.status).toBe(200);
    jobs.push((await response.json()) as JobView);
  }
  return jobs;
}

/** Far beyond every lock and pause, also on a busy machine; within the tests' own limit, so that the jobs are named. */
const GIVE_UP_MILLISECONDS = 100_000;

/** Waits until every job has ended, and checks that each has its picture, once. */
export async function expectAllCompleted(url: string, ids: Set<string>): Promise<void> {
  let open = [...ids];
  for (const since = performance.now(); open.length > 0 && performance.now() - since < GIVE_UP_MILLISECONDS; ) {
    const jobs = await readAll(url, open);
    open = jobs.filter((job) => job.status === "queued" || job.status === "running").map((job) => job.id);
    await sleep(50);
  }
  expect(open).toEqual([]);
  for (const job of await readAll(url, ids)) {
    expect(job).toMatchObject({ status: "completed" });
    expect(job.images).toHaveLength(1);
    expect((await fetch(url + job.images[0]?.url)).status).toBe(200);
  }
}

/** What a test that kills may take: it starts several processes, one after another, on a machine that does other things too. */
export const KILLING_MILLISECONDS = 300_000;

/** Short locks and drains, so that a test does not wait for them. */
export const QUICK = { KILN_LOCK_SECONDS: "2", KILN_TEST_ENGINE_STEP_MS: "10", KILN_DRAIN_SECONDS: "1" };
