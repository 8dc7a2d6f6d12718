import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Caller } from "../auth/caller.ts";
import type { PictureLinks } from "../auth/picture-links.ts";
import { QuotaTurns } from "../auth/quota.ts";
import { ServiceError } from "../errors.ts";
import type { EventBus, JobProgress } from "../events/bus.ts";
import { requestScope } from "../http/request-scope.ts";
import type { Catalogue } from "../models/catalogue.ts";
import { type JobQueue, MAX_FAIR_TAG, PRIORITIES, type QueueEntry } from "../queue/job-queue.ts";
import type { IdempotencyKey } from "../records/idempotency-keys.ts";
import type { BornJob, ImageRow, InsertOptions, JobFilter, JobRow, JobStore, NewJob } from "../records/job-store.ts";
import type { Work } from "../records/usage.ts";
import type { Storage } from "../storage/storage.ts";
import { Batcher } from "./batcher.ts";
import { completeRequest, type OperatorDefaults } from "./complete.ts";
import { FairShare } from "./fair-share.ts";
import { newId } from "./ids.ts";
import { JobNews } from "./job-news.ts";
import { isFinished, type JobView, viewJob } from "./job-view.ts";
import { MAX_BATCH_REQUESTS } from "./limits.ts";
import { parseOrRefuse } from "./parse.ts";
import type { PicturesIn } from "./pictures-in.ts";
import { applyPreset, type PresetsByName } from "./preset.ts";
import { type CompleteRequest, type GenerationRequest, type GenerationRequestInput, generationRequestSchema } from "./request.ts";
import { workloadOf, workOf } from "./workload.ts";

export interface SubmitOptions {
  /** The same key with the same request gives the same job. */
  idempotencyKey?: string | undefined;
  /** Which face the request came through. */
  dialect?: string;
  /** What that face wants to find again with the job. */
  context?: Record<string, unknown>;
  /** Storage keys that a face chose by its contract; a caller's own are kept under a folder of theirs. */
  keys?: { key: string; thumbnailKey?: string };
}

export interface JobServiceParts {
  store: JobStore;
  queue: JobQueue;
  bus: EventBus;
  storage: Storage;
  catalogue: Catalogue;
  pictures: PicturesIn;
  operator: OperatorDefaults;
  presets: PresetsByName;
  links: PictureLinks;
  maxWaiting: number;
  /** Refuses prompts that the content policy forbids. */
  checkContent(request: GenerationRequest, caller: Caller): void;
  /** Refuses callers that are over their quota. */
  checkQuota(caller: Caller, work: Work): Promise<void>;
  /** The same within the transaction that records the jobs, where other processes record jobs too. */
  lockQuota(caller: Caller, work: Work): InsertOptions["before"];
  onAccepted(job: NewJob): void;
}

/** A job with the pictures it made. */
export interface JobWithImages {
  row: JobRow;
  images: ImageRow[];
}

/** The life of jobs as callers see it: every face creates, reads, waits for and ends jobs here. */
export class JobService {
  readonly #parts: JobServiceParts;
  readonly #fair = new FairShare(MAX_FAIR_TAG);
  readonly #news: JobNews;
  readonly #records: Batcher<NewJob, BornJob>;
  readonly #places: Batcher<QueueEntry, true>;
  readonly #quotaTurns = new QuotaTurns();
  #waiting = 0;

  constructor(parts: JobServiceParts) {
    this.#parts = parts;
    this.#records = new Batcher(async (jobs) => {
      const born = await parts.store.insert(jobs);
      return jobs.flatMap((job) => born.find(({ id }) => id === job.id) ?? []);
    }, MAX_BATCH_REQUESTS);
    this.#places = new Batcher(async (entries) => {
      await parts.queue.add(entries);
      return entries.map(() => true as const);
    }, MAX_BATCH_REQUESTS);
    this.#news = new JobNews(parts.bus);
  }

  /** Goes on from the records of an earlier process. */
  async restore(): Promise<void> {
    this.#fair.restore(await this.#parts.store.fairTags());
    await this.measureQueue();
  }

  /** Learns which jobs workers of other processes have started: the smallest tag that waits is the time of now. */
  async followQueue(): Promise<void> {
    const tags = await this.#parts.store.fairTags();
    for (const priority of PRIORITIES) {
      const waiting = tags.filter((tag) => tag.priority === priority).map((tag) => tag.least);
      if (waiting.length > 0) this.#fair.started(priority, Math.min(...waiting));
    }
  }

  /** Looks at how much waits; the limit on waiting jobs and the fair tags go by it. */
  async measureQueue(): Promise<void> {
    const { waiting } = await this.#parts.queue.counts();
    this.#waiting = waiting.urgent + waiting.high + waiting.normal;
    for (const priority of PRIORITIES) if (waiting[priority] === 0) this.#fair.idle(priority);
  }

  /**
   * Accepts one request: validates, completes, records and queues it. When this resolves, the job survives the end
   * of any process. Raises ServiceError.
   */
  async submit(input: GenerationRequestInput | unknown, caller: Caller, options: SubmitOptions = {}): Promise<JobView> {
    const [job] = await this.submitAll([input], caller, options);
    if (!job) throw new ServiceError("internal", "The job was not made.");
    return job;
  }

  /** Accepts several requests, all or none. */
  async submitAll(inputs: readonly unknown[], caller: Caller, options: SubmitOptions = {}): Promise<JobView[]> {
    return await this.#quotaTurns.run(caller, async () => await this.#submitAll(inputs, caller, options));
  }

  async #submitAll(inputs: readonly unknown[], caller: Caller, options: SubmitOptions): Promise<JobView[]> {
    if (inputs.length === 0 || inputs.length > MAX_BATCH_REQUESTS) {
      throw new ServiceError("invalid_request", `requests: must hold 1 to ${MAX_BATCH_REQUESTS} requests.`, {
        field: "requests",
      });
    }
    const { idempotencyKey } = options;
    const fingerprint = idempotencyKey === undefined ? "" : createHash("sha256").update(JSON.stringify(inputs)).digest("hex");
    if (idempotencyKey !== undefined) {
      const earlier = await this.#earlier(caller, idempotencyKey, fingerprint);
      if (earlier) return earlier;
    }
    const requests = inputs.map((input) => parseOrRefuse(generationRequestSchema, applyPreset(input, this.#parts.presets)));
    for (const request of requests) {
      this.#parts.checkContent(request, caller);
      // The longest prompts take a tenth of a second: between those of a batch everybody else has a turn.
      if (requests.length > 1) await nextTurn();
    }
    const complete = requests.map((request) => completeRequest(request, this.#parts.catalogue, this.#parts.operator));
    try {
      return await this.#record(complete, caller, options, fingerprint);
    } catch (error) {
      // Two requests with one key at the same time: the first one's jobs are the answer to both.
      if (idempotencyKey === undefined) throw error;
      const earlier = await this.#earlier(caller, idempotencyKey, fingerprint).catch(() => undefined);
      if (!earlier) throw error;
      return earlier;
    }
  }

  /** Checks what limits a caller, and records and queues jobs. */
  async #record(
    complete: readonly CompleteRequest[],
    caller: Caller,
    options: SubmitOptions,
    fingerprint: string,
  ): Promise<JobView[]> {
    const work = workOf(complete);
    await this.#admit(complete.length, caller, work);
    const jobs: NewJob[] = [];
    for (const request of complete) jobs.push(await this.#prepare(request, caller, options));
    const key = options.idempotencyKey;
    const idempotency = key === undefined ? undefined : { owner: caller.owner, key, fingerprint };
    const before = this.#parts.lockQuota(caller, work);
    const [only, ...others] = jobs;
    const alone = only && others.length === 0 && !idempotency && !before;
    const born = alone ? [await this.#records.add(only)] : await this.#parts.store.insert(jobs, { idempotency, before });
    await this.#enqueue(jobs, idempotency);
    for (const job of jobs) this.#parts.onAccepted(job);
    return jobs.map((job) => viewJob(asQueued(job, born), []));
  }

  /** One job. Raises `not_found`, also for somebody else's. */
  async get(id: string, caller: Caller): Promise<JobView> {
    const { row, images } = await this.read(id, caller);
    const position = row.status === "queued" ? await this.#parts.store.positionOf(row) : undefined;
    return viewJob(row, images, { progress: this.#news.progressOf(id), position });
  }

  /** A job's record and pictures, for faces that show them in their own way. Raises `not_found`. */
  async read(id: string, caller: Caller): Promise<JobWithImages> {
    const found = await this.#parts.store.withImages(id);
    if (!found || (caller.role !== "admin" && found.row.owner !== caller.owner))
      throw new ServiceError("not_found", `There is no job "${id.slice(0, 80)}".`);
    return found;
  }

  async list(filter: Omit<JobFilter, "owner">, caller: Caller): Promise<JobView[]> {
    const rows = await this.#parts.store.list({ ...filter, owner: caller.role === "admin" ? undefined : caller.owner });
    const images = await this.#parts.store.imagesOf(rows.map((row) => row.id));
    return rows.map((row) =>
      viewJob(
        row,
        images.filter((image) => image.job_id === row.id),
        { progress: this.#news.progressOf(row.id) },
      ),
    );
  }

  /** The latest progress of a running job. */
  progressOf(id: string): JobProgress | undefined {
    return this.#news.progressOf(id);
  }

  /** Ends a waiting job at once and a running one at its next step. A finished one stays as it is. */
  async cancel(id: string, caller: Caller): Promise<JobView> {
    const { row } = await this.read(id, caller);
    const outcome = await this.#parts.store.cancel(id);
    if (outcome === "cancelled") await this.#parts.queue.remove({ id, priority: row.priority });
    if (outcome === "requested") this.#parts.bus.publish({ type: "cancel", job: id });
    if (outcome) this.#parts.bus.publish({ type: "job", job: id, owner: row.owner });
    return await this.get(id, caller);
  }

  /**
   * Removes a finished job with its pictures, or cancels it when it is not finished.
   * @param keepFiles leaves the pictures' files to another job, which writes to the same keys
   */
  async remove(id: string, caller: Caller, keepFiles = false): Promise<JobView> {
    const { row, images } = await this.read(id, caller);
    if (!isFinished(row.status)) return await this.cancel(id, caller);
    await this.#parts.store.remove(id);
    for (const image of keepFiles ? [] : images) {
      await this.#parts.storage.delete(image.key);
      await this.#parts.storage.delete(image.thumbnail_key);
    }
    this.#news.forget(id);
    return viewJob(row, []);
  }

  async update(
    id: string,
    change: { favorite?: boolean | undefined; selected?: string | null | undefined; context?: Record<string, unknown> },
    caller: Caller,
  ): Promise<JobView> {
    const { row } = await this.read(id, caller);
    await this.#parts.store.update(id, change);
    this.#parts.bus.publish({ type: "job", job: id, owner: row.owner });
    return await this.get(id, caller);
  }

  /** Waits until a job has ended. Raises the signal's reason when the caller goes away first; the job goes on then. */
  async wait(id: string, caller: Caller, signal?: AbortSignal): Promise<JobWithImages> {
    for (;;) {
      // Subscribed before the look at the record, so that no end falls between the two.
      const change = this.#news.nextChange(id, signal);
      try {
        const found = await this.read(id, caller);
        if (isFinished(found.row.status)) return found;
        await change.promise;
      } finally {
        change.stop();
      }
    }
  }

  /** The bytes of a picture or of its thumbnail, or undefined when the storage has lost it. */
  async bytesOf(image: Pick<ImageRow, "key" | "thumbnail_key">, thumbnail = false): Promise<Buffer | undefined> {
    return await this.#parts.storage.get(thumbnail ? image.thumbnail_key : image.key);
  }

  /** Where clients can fetch a picture without a key: the CDN, a presigned address, or this server's own, signed, under `base`. */
  async addressOf(image: Pick<ImageRow, "id" | "key" | "thumbnail_key">, base: string, thumbnail = false): Promise<string> {
    const elsewhere = await this.#parts.storage.address(thumbnail ? image.thumbnail_key : image.key);
    if (elsewhere !== undefined) return elsewhere;
    const path = `/v1/images/${image.id}${thumbnail ? "/thumbnail" : ""}`;
    return base.replace(/\/$/, "") + (await this.#parts.links.sign(path));
  }

  /** A picture by its id. Raises `not_found`, also for somebody else's. */
  async image(id: string, caller: Caller): Promise<ImageRow> {
    const image = await this.#parts.store.image(id);
    if (!image || (caller.role !== "admin" && image.owner !== caller.owner))
      throw new ServiceError("not_found", `There is no picture "${id.slice(0, 80)}".`);
    return image;
  }

  /** A worker has started a job. */
  noteStarted(job: Pick<JobRow, "priority" | "fair_tag">): void {
    this.#fair.started(job.priority, job.fair_tag);
  }

  /** Nothing is kept for jobs that have ended. */
  forget(id: string): void {
    this.#news.forget(id);
  }

  close(): void {
    this.#news.close();
  }

  async #admit(count: number, caller: Caller, work: Work): Promise<void> {
    if (this.#waiting + count > this.#parts.maxWaiting) {
      throw new ServiceError(
        "queue_full",
        `${this.#waiting} jobs are waiting, and no more than ${this.#parts.maxWaiting} may; try again later.`,
        { retryAfter: 30 },
      );
    }
    await this.#parts.storage.check();
    await this.#parts.checkQuota(caller, work);
  }

  async #prepare(complete: CompleteRequest, caller: Caller, options: SubmitOptions): Promise<NewJob> {
    const withKeys: CompleteRequest = { ...complete, output: ownKeys(complete.output, caller, options.keys) };
    return {
      id: newId("job"),
      owner: caller.owner,
      priority: complete.priority,
      model: complete.model,
      request: await this.#withReferences(withKeys, caller),
      words: complete.prompt.toLowerCase(),
      dialect: options.dialect ?? "native",
      context: options.context ?? null,
      deadline_at: complete.deadline_seconds === undefined ? null : new Date(Date.now() + complete.deadline_seconds * 1000),
      workload: workloadOf(complete),
      fair_tag: this.#fair.tag(caller.owner, complete.priority),
      warnings: [],
      origin: requestScope.getStore() ?? null,
    };
  }

  /** Pictures that came as bytes are stored, and the request then names them. */
  async #withReferences(request: CompleteRequest, caller: Caller): Promise<CompleteRequest> {
    const { pictures } = this.#parts;
    const image = request.image === undefined ? undefined : await pictures.refer(request.image, caller, "image");
    const mask = request.mask === undefined ? undefined : await pictures.refer(request.mask, caller, "mask");
    const controls: CompleteRequest["controls"] = [];
    for (const [index, control] of request.controls.entries()) {
      controls.push({ ...control, image: await pictures.refer(control.image, caller, `controls.${index}.image`) });
    }
    return { ...request, ...(image ? { image } : {}), ...(mask ? { mask } : {}), controls };
  }

  async #enqueue(jobs: readonly NewJob[], idempotency: IdempotencyKey | undefined): Promise<void> {
    try {
      await Promise.all(jobs.map(({ id, priority, fair_tag }) => this.#places.add({ id, priority, fairTag: fair_tag })));
      this.#waiting += jobs.length;
    } catch (error) {
      // What stays behind because the database is away too is queued later: the client may see a job it was refused.
      const ids = jobs.map((job) => job.id);
      await this.#parts.store.withdraw(ids, idempotency).catch(() => {});
      throw new ServiceError("unavailable", "The queue does not answer; try again.", { retryAfter: 5, cause: error });
    }
  }

  async #earlier(caller: Caller, key: string, fingerprint: string): Promise<JobView[] | undefined> {
    const found = await this.#parts.store.idempotency.find(caller.owner, key);
    if (!found) return undefined;
    if (found.fingerprint !== fingerprint) {
      throw new ServiceError("idempotency_mismatch", "This Idempotency-Key was used with another request; use a new one.", {
        field: "Idempotency-Key",
      });
    }
    const jobs: JobView[] = [];
    for (const id of found.job_ids) jobs.push(await this.get(id, caller));
    return jobs;
  }
}

/** A caller's own storage keys lie in a folder of theirs, so that nobody writes over anything else. */
function ownKeys(output: CompleteRequest["output"], caller: Caller, chosen: SubmitOptions["keys"]): CompleteRequest["output"] {
  if (chosen)
    return { ...output, key: chosen.key, ...(chosen.thumbnailKey === undefined ? {} : { thumbnail_key: chosen.thumbnailKey }) };
  const inFolder = (key: string) => `custom/${caller.owner}/${key}`;
  return {
    ...output,
    ...(output.key === undefined ? {} : { key: inFolder(output.key) }),
    ...(output.thumbnail_key === undefined ? {} : { thumbnail_key: inFolder(output.thumbnail_key) }),
  };
}

/** The record of a job that has just been written, without reading it back. */
function asQueued(job: NewJob, born: readonly BornJob[]): JobRow {
  const { number, created_at } = born.find(({ id }) => id === job.id) ?? { number: 0, created_at: new Date() };
  return {
    ...job,
    number,
    created_at,
    status: "queued",
    started_at: null,
    finished_at: null,
    attempts: 0,
    engine_deaths: 0,
    cancel_requested: false,
    error: null,
    evidence: [],
    favorite: false,
    selected: null,
    timings: null,
    parameters: null,
    worker: null,
    webhook_at: null,
    webhook_tries: 0,
  };
}
