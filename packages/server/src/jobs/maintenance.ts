import type { Logger } from "pino";
import { LOCAL_CALLER } from "../auth/caller.ts";
import type { EventBus } from "../events/bus.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { JobQueue } from "../queue/job-queue.ts";
import type { Database } from "../records/database.ts";
import type { JobStore } from "../records/job-store.ts";
import type { Uploads } from "../records/uploads.ts";
import type { Storage } from "../storage/storage.ts";
import type { JobService } from "./job-service.ts";

const TICK_MILLISECONDS = 2000;
const RECONCILE_EVERY_TICKS = 8;
/** A job this young is still on its way from the records to the queue. */
const YOUNG_SECONDS = 10;
const RECONCILE_AT_ONCE = 500;
const OVERDUE_AT_ONCE = 500;
const REBUILD_PAGE = 1000;

const TIDY_EVERY_TICKS = 30;
const EXPIRE_EVERY_TICKS = 300;
const EXPIRE_AT_ONCE = 200;
const DAY_MILLISECONDS = 86_400_000;

export interface MaintenanceParts {
  uploads: Uploads;
  storage: Storage;
  database: Pick<Database, "tidy">;
  /** Jobs and uploads older than this go, favourites stay; 0 keeps everything. */
  retentionDays: number;
  store: JobStore;
  queue: JobQueue;
  bus: EventBus;
  jobs: JobService;
  metrics: Metrics;
  log: Logger;
}

/** What a gateway does now and then: ends jobs whose deadline has passed, and queues again what the queue has lost. */
export class Maintenance {
  readonly #parts: MaintenanceParts;
  #timer: NodeJS.Timeout | undefined;
  #tick = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: MaintenanceParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#schedule();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  /** Queues again the unfinished jobs that the queue does not know: it lost them, or the gateway died between the two writes. */
  async reconcile(youngerThanSeconds = YOUNG_SECONDS): Promise<number> {
    const { store, queue, log } = this.#parts;
    const rows = await store.unfinished(new Date(Date.now() - youngerThanSeconds * 1000), RECONCILE_AT_ONCE);
    let lost = 0;
    for (const { id, priority, fair_tag } of rows) {
      if (await queue.has({ id, priority })) continue;
      const now = await store.get(id);
      if (now?.status !== "queued" && now?.status !== "running") continue;
      await queue.add([{ id, priority, fairTag: fair_tag }]);
      lost++;
    }
    if (lost > 0) log.warn({ lost }, "jobs that the queue did not know were queued again");
    return lost;
  }

  /**
   * Makes the queue anew from the records. For the embedded database, whose jobs only this process can hold: after a
   * crash nothing waits for the locks of the dead process to run out.
   */
  async rebuild(): Promise<void> {
    const { store, queue } = this.#parts;
    await queue.clear();
    for await (const rows of store.unfinishedEntries(REBUILD_PAGE)) {
      await queue.add(rows.map(({ id, priority, fair_tag }) => ({ id, priority, fairTag: fair_tag })));
    }
  }

  /** Forgets idempotency keys after a day, and removes what is older than the retention time: records first, so that nothing shows a picture that is gone. */
  async expire(): Promise<void> {
    const { store, storage, uploads, jobs, retentionDays } = this.#parts;
    await store.idempotency.forget(new Date(Date.now() - DAY_MILLISECONDS));
    if (retentionDays === 0) return;
    const before = new Date(Date.now() - retentionDays * DAY_MILLISECONDS);
    for (const id of await store.expired(before, EXPIRE_AT_ONCE)) await jobs.remove(id, LOCAL_CALLER);
    for (const { id, key } of await uploads.olderThan(before, EXPIRE_AT_ONCE)) {
      await uploads.remove(id);
      await storage.delete(key);
    }
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#once()
        .catch((error: unknown) => this.#parts.log.warn({ err: error }, "maintenance is put off"))
        .then(() => {
          if (this.#timer) this.#schedule();
        });
    }, TICK_MILLISECONDS);
    this.#timer.unref();
  }

  async #once(): Promise<void> {
    const { store, queue, bus, jobs, metrics, database } = this.#parts;
    metrics.noteWaiting((await queue.counts()).waiting);
    await jobs.measureQueue();
    for (const id of await store.overdue(OVERDUE_AT_ONCE)) {
      const row = await store.get(id);
      if (!row) continue;
      await store.end(id, undefined, "failed", {
        code: "deadline_exceeded",
        message: "The job's deadline passed while it was waiting.",
      });
      await queue.remove({ id, priority: row.priority });
      bus.publish({ type: "job", job: id, owner: row.owner });
    }
    if (this.#tick % EXPIRE_EVERY_TICKS === 0) await this.expire();
    if (this.#tick % TIDY_EVERY_TICKS === TIDY_EVERY_TICKS - 1) await database.tidy();
    if (this.#tick++ % RECONCILE_EVERY_TICKS !== 0) return;
    await this.reconcile();
    await jobs.followQueue();
  }
}
