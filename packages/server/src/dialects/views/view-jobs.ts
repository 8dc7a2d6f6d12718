import { randomBytes } from "node:crypto";
import type { Caller } from "../../auth/caller.ts";
import { messageOf, ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { isFinished } from "../../jobs/job-view.ts";
import type { JobRow } from "../../records/job-store.ts";
import { Turns } from "../../records/turns.ts";
import { asOwner } from "./accounts.ts";
import { notFound } from "./errors.ts";
import { originalOf, type Photo } from "./original.ts";
import { picturesOf, prepare, type Recipe, requestOf, textsOf } from "./recipe.ts";
import { pictureKey, VIEWS, type View, type ViewJob, type ViewJobData, viewJobOf, wordsOf } from "./view-job.ts";

const JOBS = "views_jobs";
/** The contract tries a failed job once more, after this long. */
export const RETRY_MILLISECONDS = 30_000;
const MAX_TRIES = 2;
/** Accepting a job takes no longer than this. */
const HALF_MILLISECONDS = 60_000;
/** Unfinished jobs of an earlier process that are looked after again. */
const MAX_RESUMED = 10_000;
const EXPIRE_AT_ONCE = 200;
/** Native jobs whose record is remembered, so that news of them finds it. */
const MAX_KNOWN = 10_000;

export interface NewViewJob {
  photo: Photo;
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
    const { documents, storage } = this.#context;
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
    const parts = await this.#submitBoth(id, recipe, caller).catch(async (error: unknown) => {
      await documents.remove(JOBS, id);
      await this.#forget(original.key);
      throw error;
    });
    // News of the two may have come before this record knew them.
    const job = await this.refresh(await this.#write(id, { parts }));
    this.#announce(job);
    return job;
  }

  /**
   * Draws anew a job that has ended, with the scenario and message that it has now; one that has not ended stays as it
   * is. Raises `not_found`, `conflict` where the photo is gone, and whatever refuses a new job; nothing is changed then.
   */
  async process(id: number): Promise<ViewJob> {
    return await this.#inTurn(id, async () => {
      const job = await this.find(id);
      if (!job) throw new ServiceError("not_found", `There is no job ${id}.`);
      return job.data.open ? job : await this.#drawAnew(job);
    });
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
    this.#announce(updated);
    if (change.favorite !== undefined) await this.#mark(updated);
    return updated;
  }

  /** Removes a job with its pictures and its photo. */
  async remove(job: ViewJob): Promise<void> {
    const { documents, jobs } = this.#context;
    clearTimeout(this.#timers.get(job.id));
    await documents.remove(JOBS, job.id);
    const { parts, original, recipe } = job.data;
    for (const view of VIEWS) if (parts) await jobs.remove(parts[view].job, asOwner(job.owner)).catch(() => {});
    await this.#discard(recipe);
    await this.#forget(original.key);
  }

  /** Removes jobs that were accepted before a moment and have ended, without the favourites. */
  async expire(before: Date): Promise<void> {
    const where = { open: false, favorite: false };
    for (const found of await this.#context.documents.find(JOBS, { where, to: before, limit: EXPIRE_AT_ONCE }))
      await this.remove(viewJobOf(found));
  }

  /** What a job still drew while it was removed goes after it. */
  async removeLeft(native: string, owner: string): Promise<void> {
    const row = await this.#rowOf(native, owner);
    if (row && isFinished(row.status)) await this.#context.jobs.remove(native, asOwner(owner)).catch(() => {});
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
    return await this.#inTurn(job.id, async () => await this.#refresh((await this.find(job.id)) ?? job));
  }

  /** One change of a record after the other. */
  async #inTurn(id: number, work: () => Promise<ViewJob>): Promise<ViewJob> {
    const entry = this.#turns.get(id) ?? { turns: new Turns(), users: 0 };
    this.#turns.set(id, entry);
    entry.users++;
    try {
      return await entry.turns.run(work);
    } finally {
      if (--entry.users === 0) this.#turns.delete(id);
    }
  }

  async #drawAnew(job: ViewJob): Promise<ViewJob> {
    const { storage, pictures, jobs } = this.#context;
    const { scenario, message, original, pose_found, recipe: earlier, parts: drawn } = job.data;
    const owner = asOwner(job.owner);
    const photo = await storage.get(original.key);
    if (!photo) throw new ServiceError("conflict", `The photo of job ${job.id} is not in the storage any more.`);
    const { control } = picturesOf(earlier);
    const pose = pose_found && control !== undefined ? await pictures.read(control) : undefined;
    const { recipe, ...found } = await prepare({ photo, pose, scenario, message }, owner, this.#context);
    const parts = await this.#submitBoth(job.id, recipe, owner);
    const opened = await this.#write(job.id, { ...found, recipe, parts, open: true, status: "queued", error: null });
    await this.#discard(earlier);
    if (opened.data.favorite) await this.#mark(opened);
    // The new pictures have the same names: the earlier jobs must not take them along when they are tidied away.
    for (const view of VIEWS) if (drawn) await jobs.remove(drawn[view].job, owner, true).catch(() => {});
    const again = await this.#refresh(opened);
    this.#announce(again);
    return again;
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
        const again = await this.#submit(job.id, view, job.data.recipe, asOwner(job.owner), parts[view].job);
        next[view] = { job: again, tries, done: false };
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
    if (same) return job;
    const written = await this.#write(job.id, change);
    if (written.data.favorite && open) await this.#mark(written);
    return written;
  }

  /** Has those who listen told how a job stands now. */
  #announce({ owner, data: { parts } }: ViewJob): void {
    if (parts) this.#context.bus.publish({ type: "job", job: parts.rear.job, owner });
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

  /** Queues both views or none. What the recipe draws from goes with a refusal. */
  async #submitBoth(id: number, recipe: Recipe, caller: Caller): Promise<NonNullable<ViewJobData["parts"]>> {
    const submitted: string[] = [];
    try {
      for (const view of VIEWS) submitted.push(await this.#submit(id, view, recipe, caller));
    } catch (error) {
      for (const job of submitted) await this.#context.jobs.cancel(job, caller).catch(() => {});
      await this.#discard(recipe);
      throw error;
    }
    const [rear = "", side = ""] = submitted;
    const part = { tries: 1, done: false };
    return { rear: { job: rear, ...part }, side: { job: side, ...part } };
  }

  /** What is a favourite here stays when old pictures are removed. */
  async #mark({ owner, data: { parts, favorite } }: ViewJob): Promise<void> {
    for (const view of VIEWS)
      if (parts) await this.#context.jobs.update(parts[view].job, { favorite }, asOwner(owner)).catch(() => {});
  }

  /** @param failed the native job that is tried again */
  async #submit(id: number, view: View, recipe: Recipe, caller: Caller, failed?: string): Promise<string> {
    const { jobs, presets } = this.#context;
    const options = {
      dialect: "views",
      context: { id, view },
      keys: { key: pictureKey(id, view) },
      // Two gateways that see the same failure try the same job again.
      ...(failed === undefined ? {} : { idempotencyKey: `views-again-${failed}` }),
    };
    const job = await jobs.submit(requestOf(recipe, view, textsOf(presets)), caller, options);
    this.#remember(job.id, { id, view });
    return job.id;
  }

  /** Removes the pictures that a recipe draws from. */
  async #discard(recipe: Recipe): Promise<void> {
    const { photo, control } = picturesOf(recipe);
    for (const reference of [photo, ...(control === undefined ? [] : [control])])
      await this.#context.pictures.discard(reference).catch((error: unknown) => this.#notRemoved(reference, error));
  }

  async #forget(key: string): Promise<void> {
    await this.#context.storage.delete(key).catch((error: unknown) => this.#notRemoved(key, error));
  }

  #notRemoved(photo: string, error: unknown): void {
    this.#context.log.warn({ photo, reason: messageOf(error) }, "a photo is not removed");
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
