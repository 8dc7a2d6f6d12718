import { randomBytes } from "node:crypto";
import type { Caller } from "../../auth/caller.ts";
import { messageOf } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { isFinished } from "../../jobs/job-view.ts";
import type { JobRow } from "../../records/job-store.ts";
import { Turns } from "../../records/turns.ts";
import { asOwner } from "./accounts.ts";
import { notFound } from "./errors.ts";
import { prepare, requestOf, textsOf } from "./recipe.ts";
import { pictureKey, VIEWS, type View, type ViewJob, type ViewJobData, viewJobOf, wordsOf } from "./view-job.ts";

const JOBS = "views_jobs";
/** The contract tries a failed job once more, after this long. */
export const RETRY_MILLISECONDS = 30_000;
const MAX_TRIES = 2;
/** Accepting a job takes no longer than this. */
const HALF_MILLISECONDS = 60_000;
/** Unfinished jobs of an earlier process that are looked after again. */
const MAX_RESUMED = 10_000;
/** Native jobs whose record is remembered, so that news of them finds it. */
const MAX_KNOWN = 10_000;

export interface NewViewJob {
  photo: { name: string; bytes: Buffer };
  pose: Buffer | undefined;
  region: string;
  scenario: string;
  message: string;
}

export interface ViewJobFilter {
  owner: string;
  where?: Record<string, unknown>;
  search?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Jobs of the contract: records of their own, each over two native jobs that draw its views. */
export class ViewJobs {
  readonly #context: ServerContext;
  /** Which record a native job draws for; null for other faces' jobs. */
  readonly #known = new Map<string, { id: number; view: View } | null>();
  readonly #turns = new Map<number, { turns: Turns; users: number }>();
  readonly #timers = new Map<number, NodeJS.Timeout>();

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Accepts a photo: both views are queued, or nothing is kept. */
  async create(request: NewViewJob, user: number, caller: Caller): Promise<ViewJob> {
    const { documents, storage, jobs } = this.#context;
    const { region, scenario, message, photo } = request;
    const { recipe, ...found } = await prepare(
      { photo: photo.bytes, pose: request.pose, scenario, message },
      caller,
      this.#context,
    );
    const original = originalOf(photo);
    const data: ViewJobData = {
      user,
      region,
      scenario,
      message,
      words: wordsOf(request),
      status: "queued",
      open: true,
      favorite: false,
      selected: null,
      error: null,
      ...found,
      secret: randomBytes(16).toString("hex"),
      original,
      recipe,
      parts: null,
    };
    await storage.put(original.key, photo.bytes, `image/${original.format}`);
    const { id } = await documents.insert(JOBS, caller.owner, { ...data });
    const submitted: string[] = [];
    try {
      for (const view of VIEWS) submitted.push(await this.#submit(id, view, data, caller, 1));
    } catch (error) {
      for (const job of submitted) await jobs.cancel(job, caller).catch(() => {});
      await documents.remove(JOBS, id);
      await storage.delete(original.key).catch(() => {});
      throw error;
    }
    const [rear = "", side = ""] = submitted;
    const part = { tries: 1, done: false };
    const job = await this.#write(id, { parts: { rear: { job: rear, ...part }, side: { job: side, ...part } } });
    // News of the two may have come before this record knew them.
    return await this.refresh(job);
  }

  /** A caller's own job, as it stands. Raises `not_found`. */
  async get(id: string, caller: Caller): Promise<ViewJob> {
    const found = /^\d{1,9}$/.test(id) ? await this.#context.documents.get(JOBS, Number(id)) : undefined;
    if (!found || found.owner !== caller.owner) throw notFound();
    return await this.refresh(viewJobOf(found));
  }

  /** Whoever's it is; for news and for addresses that carry their own permission. */
  async find(id: number): Promise<ViewJob | undefined> {
    const found = await this.#context.documents.get(JOBS, id);
    return found && viewJobOf(found);
  }

  async list(filter: ViewJobFilter, limit: number, offset: number): Promise<{ count: number; jobs: ViewJob[] }> {
    const { documents } = this.#context;
    // The records' states are what filters go by, so those that may have changed are brought up to date first.
    for (const open of await documents.find(JOBS, { owner: filter.owner, where: { open: true }, limit: MAX_RESUMED }))
      await this.refresh(viewJobOf(open));
    const [count, found] = [await documents.count(JOBS, filter), await documents.find(JOBS, { ...filter, limit, offset })];
    return { count, jobs: found.map(viewJobOf) };
  }

  async update(
    job: ViewJob,
    change: Partial<Pick<ViewJobData, "region" | "scenario" | "message" | "favorite" | "selected">>,
  ): Promise<ViewJob> {
    const words = wordsOf({ ...job.data, ...change });
    const updated = await this.#write(job.id, { ...change, words });
    const news = job.data.parts?.rear.job;
    if (news) this.#context.bus.publish({ type: "job", job: news, owner: job.owner });
    // What is a favourite here stays when old pictures are removed.
    if (change.favorite !== undefined) {
      for (const view of VIEWS) {
        const native = job.data.parts?.[view].job;
        if (native) await this.#context.jobs.update(native, { favorite: change.favorite }, asOwner(job.owner)).catch(() => {});
      }
    }
    return updated;
  }

  /** Removes a job with its pictures and its photo. */
  async remove(job: ViewJob): Promise<void> {
    const { documents, storage, jobs, log } = this.#context;
    clearTimeout(this.#timers.get(job.id));
    await documents.remove(JOBS, job.id);
    const { parts, original, recipe } = job.data;
    for (const view of VIEWS) if (parts) await jobs.remove(parts[view].job, asOwner(job.owner)).catch(() => {});
    const [, upload] = /^upload:(\w+)$/.exec(String(recipe.native.image)) ?? [];
    for (const key of [original.key, ...(upload ? [`uploads/${upload}.png`] : [])])
      await storage.delete(key).catch((error: unknown) => log.warn({ key, reason: messageOf(error) }, "a photo is not removed"));
  }

  /** The job and view that a native job draws for, or undefined. The records are asked about unknown ones if `ask`. */
  async ofNative(native: string, ask: boolean): Promise<{ id: number; view: View } | undefined> {
    const known = this.#known.get(native);
    if (known !== undefined || !ask) return known ?? undefined;
    const admin: Caller = { ...asOwner(""), role: "admin" };
    const row = await this.#context.jobs.read(native, admin).then(
      (found) => found.row,
      () => undefined,
    );
    const { id, view } = row?.dialect === "views" ? (row.context ?? {}) : {};
    const wanted = VIEWS.find((each) => each === view);
    return this.#remember(native, typeof id === "number" && wanted ? { id, view: wanted } : null) ?? undefined;
  }

  /** Looks after the jobs that an earlier process left unfinished. */
  async resume(): Promise<void> {
    for (const open of await this.#context.documents.find(JOBS, { where: { open: true }, limit: MAX_RESUMED }))
      await this.refresh(viewJobOf(open));
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Brings a record up to date with its native jobs, and tries again what failed for the first time. */
  async refresh(job: ViewJob): Promise<ViewJob> {
    if (!job.data.open) return job;
    const entry = this.#turns.get(job.id) ?? { turns: new Turns(), users: 0 };
    this.#turns.set(job.id, entry);
    entry.users++;
    try {
      return await entry.turns.run(async () => await this.#refresh((await this.find(job.id)) ?? job));
    } finally {
      if (--entry.users === 0) this.#turns.delete(job.id);
    }
  }

  async #refresh(job: ViewJob): Promise<ViewJob> {
    const { parts } = job.data;
    if (!job.data.open) return job;
    if (!parts) return await this.#closeHalf(job);
    const next = structuredClone(parts);
    const states: (JobRow["status"] | "waiting")[] = [];
    let error: string | null = null;
    for (const view of VIEWS) {
      const row = await this.#rowOf(parts[view].job, job.owner);
      next[view].done = row?.status === "completed";
      const retryAt =
        row?.status === "failed" && parts[view].tries < MAX_TRIES
          ? (row.finished_at?.getTime() ?? 0) + RETRY_MILLISECONDS
          : undefined;
      if (retryAt === undefined) {
        const status = row?.status ?? "failed";
        states.push(status);
        if (status === "failed" || status === "cancelled")
          error ??= row?.error?.message ?? "The picture's job is not there any more.";
      } else if (retryAt <= Date.now()) {
        const tries = parts[view].tries + 1;
        next[view] = { job: await this.#submit(job.id, view, job.data, asOwner(job.owner), tries), tries, done: false };
        states.push("queued");
      } else {
        this.#refreshAt(job, retryAt);
        states.push("waiting");
      }
    }
    const open = states.some((state) => state === "waiting" || !isFinished(state));
    const status = statusOf(states, open);
    const change = { parts: next, open, status, error: open ? null : error };
    const { data } = job;
    const same = data.status === status && data.open === open && JSON.stringify(data.parts) === JSON.stringify(next);
    return same ? job : await this.#write(job.id, change);
  }

  /** A process that ended while it accepted a job leaves a record without views; its client has had no answer. */
  async #closeHalf(job: ViewJob): Promise<ViewJob> {
    if (job.created_at.getTime() + HALF_MILLISECONDS > Date.now()) return job;
    return await this.#write(job.id, {
      open: false,
      status: "failed",
      error: "The service ended while it accepted this job; send it again.",
    });
  }

  async #submit(id: number, view: View, { recipe }: ViewJobData, caller: Caller, tries: number): Promise<string> {
    const { jobs, presets } = this.#context;
    const options = {
      dialect: "views",
      context: { id, view },
      keys: { key: pictureKey(id, view) },
      // Two gateways that see the same failure try the same job again.
      ...(tries > 1 ? { idempotencyKey: `views-${id}-${view}-${tries}` } : {}),
    };
    const job = await jobs.submit(requestOf(recipe, view, textsOf(presets)), caller, options);
    this.#remember(job.id, { id, view });
    return job.id;
  }

  async #rowOf(native: string, owner: string): Promise<JobRow | undefined> {
    const found = await this.#context.jobs.read(native, asOwner(owner)).catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "not_found") return undefined;
      throw error;
    });
    return found?.row;
  }

  #refreshAt(job: ViewJob, at: number): void {
    clearTimeout(this.#timers.get(job.id));
    const timer = setTimeout(
      () => {
        this.#timers.delete(job.id);
        this.refresh(job).catch((error: unknown) =>
          this.#context.log.warn({ job: job.id, reason: messageOf(error) }, "a job is not tried again"),
        );
      },
      Math.max(0, at - Date.now()),
    );
    timer.unref();
    this.#timers.set(job.id, timer);
  }

  #remember(native: string, found: { id: number; view: View } | null): { id: number; view: View } | null {
    this.#known.set(native, found);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    return found;
  }

  async #write(id: number, change: Partial<ViewJobData>): Promise<ViewJob> {
    const written = await this.#context.documents.update(JOBS, id, change);
    if (!written) throw notFound();
    return viewJobOf(written);
  }
}

function statusOf(states: readonly string[], open: boolean): ViewJobData["status"] {
  if (!open) return states.every((state) => state === "completed") ? "completed" : "failed";
  return states.some((state) => state === "running" || state === "completed") ? "processing" : "queued";
}

const FORMATS: readonly [string, string, string][] = [
  ["\x89PNG", "png", "png"],
  ["\xff\xd8", "jpeg", "jpg"],
  ["RIFF", "webp", "webp"],
];

/** `originals/<name>`: the client's name as far as it is harmless, and a part that keeps names apart. */
function originalOf({ name, bytes }: NewViewJob["photo"]): ViewJobData["original"] {
  const head = bytes.subarray(0, 4).toString("latin1");
  const [, format = "jpeg", extension = "jpg"] = FORMATS.find(([signature]) => head.startsWith(signature)) ?? [];
  const plain = name
    .replace(/\.[^.]*$/, "")
    .replace(/[^A-Za-z0-9_-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60);
  return { key: `originals/${plain === "" ? "photo" : plain}_${randomBytes(6).toString("hex")}.${extension}`, format };
}
