import { setTimeout as sleep } from "node:timers/promises";
import type { JobView } from "../jobs/job-view.ts";

/** What a job may fail with when parts of the service were killed while it ran. */
const STATED = new Set(["engine_crashed", "attempts_exhausted"]);
/** Far beyond every lock and pause: what has not ended by then waits for ever. */
const GIVE_UP_SECONDS = 180;

/** A job as it is recorded. A database that was killed is away for a moment longer: what says so is asked again. */
async function read(url: string, id: string): Promise<JobView> {
  const giveUp = performance.now() + GIVE_UP_SECONDS * 1000;
  for (;;) {
    const response = await fetch(`${url}/v1/jobs/${id}`);
    if (response.status === 200) return (await response.json()) as JobView;
    await response.text();
    if (response.status !== 503 || performance.now() > giveUp) throw new Error(`job ${id} is answered ${response.status}`);
    await sleep(500);
  }
}

/** Waits until all jobs have ended; how each looked when its end was first seen. */
export async function settle(url: string, ids: Iterable<string>): Promise<Map<string, JobView>> {
  const ended = new Map<string, JobView>();
  let open = [...ids];
  const giveUp = performance.now() + GIVE_UP_SECONDS * 1000;
  while (open.length > 0 && performance.now() < giveUp) {
    const left: string[] = [];
    for (const id of open) {
      const job = await read(url, id);
      if (job.status === "queued" || job.status === "running") left.push(id);
      else ended.set(id, job);
    }
    open = left;
    await sleep(250);
  }
  return ended;
}

/** Holds the ends against what was promised. */
export async function inspect(
  url: string,
  ids: ReadonlySet<string>,
  first: ReadonlyMap<string, JobView>,
): Promise<{ counts: string; troubles: string[] }> {
  const troubles: string[] = [];
  let completed = 0;
  for (const id of ids) {
    const [seen, job] = [first.get(id), await read(url, id)];
    if (!seen) troubles.push(`${id} has not ended: ${JSON.stringify({ ...job, parameters: undefined })}`);
    else if (JSON.stringify(seen) !== JSON.stringify(job)) troubles.push(`${id} changed after its end`);
    else if (job.status === "completed") {
      completed++;
      const pictures = await Promise.all(job.images.map(async (image) => (await fetch(url + image.url)).status));
      if (pictures.join() !== "200") troubles.push(`${id} has pictures answered [${pictures.join()}]`);
    } else if (!STATED.has(job.error?.code ?? "")) troubles.push(`${id} is ${job.status} with ${JSON.stringify(job.error)}`);
  }
  troubles.push(...(await compareUsage(url)));
  return { counts: `${ids.size} acknowledged, ${completed} completed, ${ids.size - completed} failed`, troubles };
}

/** Usage is counted with each end, so it counts every picture once. Jobs that were not acknowledged are in both, and may still run. */
async function compareUsage(url: string): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const [made, counted] = [await picturesMade(url), await picturesCounted(url)];
    if (made === counted) return [];
    if (tries === 10) return [`usage counts ${counted} pictures of ${made}`];
    await sleep(1000);
  }
}

async function picturesMade(url: string): Promise<number> {
  let pictures = 0;
  let before = "";
  do {
    const page = (await (await fetch(`${url}/v1/jobs?limit=100${before}`)).json()) as { jobs: JobView[]; next?: string };
    for (const { images } of page.jobs) pictures += images.length;
    before = page.next === undefined ? "" : `&before=${encodeURIComponent(page.next)}`;
  } while (before !== "");
  return pictures;
}

async function picturesCounted(url: string): Promise<number> {
  const { data } = (await (await fetch(`${url}/v1/usage`)).json()) as { data: { pictures: number }[] };
  return data.reduce((sum, day) => sum + day.pictures, 0);
}
