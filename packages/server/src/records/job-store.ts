import { type Kysely, type Selectable, sql } from "kysely";
import { jsonArrayFrom } from "kysely/helpers/postgres";
import { type IdempotencyKey, IdempotencyKeys } from "./idempotency-keys.ts";
import type { ImagesTable, JobStatus, JobsTable, JobTimings, Priority, RecordsSchema } from "./schema.ts";
import { TODAY } from "./usage.ts";

export type JobRow = Selectable<JobsTable>;
export type ImageRow = Selectable<ImagesTable>;
export type NewJob = Pick<
  JobRow,
  | "id"
  | "owner"
  | "priority"
  | "model"
  | "request"
  | "words"
  | "dialect"
  | "context"
  | "deadline_at"
  | "workload"
  | "fair_tag"
  | "warnings"
  | "origin"
>;

/** What the database adds to a new job. */
export type BornJob = Pick<JobRow, "id" | "number" | "created_at">;

export interface JobFilter {
  /** Undefined is everybody's. */
  owner: string | undefined;
  status?: JobStatus | undefined;
  search?: string | undefined;
  favorite?: boolean | undefined;
  model?: string | undefined;
  dialect?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
  before?: { createdAt: Date; id: string } | undefined;
  limit: number;
}

export interface InsertOptions {
  /** The key that stands for the jobs from now on. */
  idempotency?: IdempotencyKey | undefined;
  /** Runs in the same transaction before anything is written; what it raises keeps the jobs out. */
  before?: ((transaction: Kysely<RecordsSchema>) => Promise<void>) | undefined;
}

export interface FinishedJob {
  images: Omit<ImageRow, "job_id">[];
  timings: JobTimings;
  parameters: string;
  warnings: string[];
}

/**
 * The jobs' records. Each change of state names the state that it starts from, and a worker's changes also the
 * attempt that they belong to, so that of two workers with the same job only the later one is heard.
 */
export class JobStore {
  readonly idempotency: IdempotencyKeys;
  readonly #db: Kysely<RecordsSchema>;

  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
    this.idempotency = new IdempotencyKeys(db);
  }

  /** Writes new jobs and, with a key, which jobs it stands for; all or none. */
  async insert(jobs: readonly NewJob[], { idempotency, before }: InsertOptions = {}): Promise<BornJob[]> {
    const rows = jobs.map((job) => ({
      ...job,
      status: "queued" as const,
      request: JSON.stringify(job.request),
      context: job.context === null ? null : JSON.stringify(job.context),
      warnings: JSON.stringify(job.warnings),
      webhook_at: job.request.webhook ? sql<Date>`now()` : null,
      origin: job.origin === null ? null : JSON.stringify(job.origin),
    }));
    const write = async (db: Kysely<RecordsSchema>) =>
      await db.insertInto("jobs").values(rows).returning(["id", "number", "created_at"]).execute();
    if (!idempotency && !before) return await write(this.#db);
    return await this.#db.transaction().execute(async (tx) => {
      await before?.(tx);
      const ids = jobs.map((job) => job.id);
      if (idempotency) await new IdempotencyKeys(tx).keep(idempotency, ids);
      return await write(tx);
    });
  }

  async get(id: string): Promise<JobRow | undefined> {
    return await this.#db.selectFrom("jobs").selectAll().where("id", "=", id).executeTakeFirst();
  }

  /** A job and its pictures, in one trip to the database. */
  async withImages(id: string): Promise<{ row: JobRow; images: ImageRow[] } | undefined> {
    const found = await this.#db
      .selectFrom("jobs")
      .selectAll("jobs")
      .select((eb) =>
        jsonArrayFrom(eb.selectFrom("images").selectAll("images").whereRef("job_id", "=", "jobs.id").orderBy("position")).as(
          "images",
        ),
      )
      .where("id", "=", id)
      .executeTakeFirst();
    if (!found) return undefined;
    const { images, ...row } = found;
    return { row, images };
  }

  async getByNumber(number: number): Promise<JobRow | undefined> {
    return await this.#db.selectFrom("jobs").selectAll().where("number", "=", number).executeTakeFirst();
  }

  async imagesOf(jobIds: readonly string[]): Promise<ImageRow[]> {
    if (jobIds.length === 0) return [];
    return await this.#db
      .selectFrom("images")
      .selectAll()
      .where("job_id", "in", jobIds)
      .orderBy("job_id")
      .orderBy("position")
      .execute();
  }

  async image(id: string): Promise<(ImageRow & { owner: string }) | undefined> {
    return await this.#db
      .selectFrom("images")
      .innerJoin("jobs", "jobs.id", "images.job_id")
      .selectAll("images")
      .select("jobs.owner")
      .where("images.id", "=", id)
      .executeTakeFirst();
  }

  async list(filter: JobFilter): Promise<JobRow[]> {
    let query = this.#db.selectFrom("jobs").selectAll().orderBy("created_at", "desc").orderBy("id", "desc").limit(filter.limit);
    if (filter.owner !== undefined) query = query.where("owner", "=", filter.owner);
    if (filter.status) query = query.where("status", "=", filter.status);
    if (filter.favorite !== undefined) query = query.where("favorite", "=", filter.favorite);
    if (filter.model) query = query.where("model", "=", filter.model);
    if (filter.dialect) query = query.where("dialect", "=", filter.dialect);
    if (filter.from) query = query.where("created_at", ">=", filter.from);
    if (filter.to) query = query.where("created_at", "<", filter.to);
    if (filter.search) query = query.where("words", "like", `%${filter.search.toLowerCase().replace(/[\\%_]/g, "\\$&")}%`);
    if (filter.before) {
      const { createdAt, id } = filter.before;
      // A cursor has milliseconds and the record has more; it is asked, unless it has been removed meanwhile.
      const time = sql`coalesce((SELECT created_at FROM kiln.jobs WHERE id = ${id}), ${createdAt})`;
      query = query.where(sql<boolean>`(created_at, id) < (${time}, ${id})`);
    }
    return await query.execute();
  }

  /** Marks a job as running and counts the attempt. Undefined when it has ended meanwhile. */
  async claim(id: string, worker: string): Promise<JobRow | undefined> {
    return await this.#db
      .updateTable("jobs")
      .set((eb) => ({
        status: "running",
        worker,
        attempts: eb("attempts", "+", 1),
        started_at: eb.fn.coalesce("started_at", sql<Date>`now()`),
      }))
      .where("id", "=", id)
      .where("status", "in", ["queued", "running"])
      .returningAll()
      .executeTakeFirst();
  }

  /** Ends a job with its pictures. False when the attempt is not the current one any more. */
  async complete(id: string, attempt: number, { images, timings, parameters, warnings }: FinishedJob): Promise<boolean> {
    // One statement is one trip to the database, and its parts happen together or not at all.
    const { rows } = await sql<{ ended: number }>`
      WITH ended AS (
        UPDATE kiln.jobs SET status = 'completed', finished_at = now(), error = NULL, timings = ${JSON.stringify(timings)},
          parameters = ${parameters}, warnings = ${JSON.stringify(warnings)}
        WHERE id = ${id} AND status = 'running' AND attempts = ${attempt}
        RETURNING id, owner, request
      ), kept AS (
        INSERT INTO kiln.images (id, job_id, position, key, thumbnail_key, width, height, seed, format, bytes)
        SELECT i.id, ended.id, i.position, i.key, i.thumbnail_key, i.width, i.height, i.seed, i.format, i.bytes
        FROM ended, jsonb_to_recordset(${JSON.stringify(images)}::jsonb) AS i (
          id text, position int, key text, thumbnail_key text, width int, height int, seed text, format text, bytes int
        )
      ), counted AS (
        INSERT INTO kiln.usage AS u (owner, day, jobs, pictures, megapixel_steps)
        SELECT owner, ${TODAY}, 1, ${images.length}::int, ${images.length}::int / 1e6 *
          (request->>'width')::float8 * (request->>'height')::float8 * (request->>'steps')::float8
        FROM ended
        ON CONFLICT (owner, day) DO UPDATE SET jobs = u.jobs + excluded.jobs, pictures = u.pictures + excluded.pictures,
          megapixel_steps = u.megapixel_steps + excluded.megapixel_steps
      )
      SELECT count(*)::int AS ended FROM ended`.execute(this.#db);
    return rows[0]?.ended === 1;
  }

  /** Ends a job without pictures. Undefined attempt: whatever attempt it is in. */
  async end(
    id: string,
    attempt: number | undefined,
    status: "failed" | "cancelled",
    error: { code: string; message: string },
  ): Promise<boolean> {
    let query = this.#db
      .updateTable("jobs")
      .set({ status, finished_at: sql<Date>`now()`, error: JSON.stringify(error) })
      .where("id", "=", id)
      .where("status", "in", ["queued", "running"]);
    if (attempt !== undefined) query = query.where("attempts", "=", attempt);
    return (await query.executeTakeFirst()).numUpdatedRows > 0n;
  }

  /** Puts a running job back among those that wait, with the reason where an engine died. */
  async requeue(id: string, attempt: number, options: { evidence?: string; countAttempt: boolean }): Promise<boolean> {
    const result = await this.#db
      .updateTable("jobs")
      .set((eb) => ({
        status: "queued",
        worker: null,
        ...(options.countAttempt ? {} : { attempts: eb("attempts", "-", 1) }),
        ...(options.evidence === undefined
          ? {}
          : {
              engine_deaths: eb("engine_deaths", "+", 1),
              evidence: sql<string>`evidence || jsonb_build_array(${options.evidence}::text)`,
            }),
      }))
      .where("id", "=", id)
      .where("status", "=", "running")
      .where("attempts", "=", attempt)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  /** Ends a waiting job at once, or asks for the end of a running one. Undefined when it has ended before. */
  async cancel(id: string): Promise<"cancelled" | "requested" | undefined> {
    const error = JSON.stringify({ code: "cancelled", message: "The job was cancelled." });
    const waiting = await this.#db
      .updateTable("jobs")
      .set({ status: "cancelled", finished_at: sql<Date>`now()`, error, cancel_requested: true })
      .where("id", "=", id)
      .where("status", "=", "queued")
      .executeTakeFirst();
    if (waiting.numUpdatedRows > 0n) return "cancelled";
    const running = await this.#db
      .updateTable("jobs")
      .set({ cancel_requested: true })
      .where("id", "=", id)
      .where("status", "=", "running")
      .executeTakeFirst();
    return running.numUpdatedRows > 0n ? "requested" : undefined;
  }

  /** Of the given jobs, those that somebody wants cancelled or that have been ended by another process. */
  async toStop(ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await this.#db
      .selectFrom("jobs")
      .select("id")
      .where("id", "in", ids)
      .where((eb) => eb.or([eb("cancel_requested", "=", true), eb("status", "in", ["completed", "failed", "cancelled"])]))
      .execute();
    return rows.map((row) => row.id);
  }

  async update(
    id: string,
    change: {
      favorite?: boolean | undefined;
      selected?: string | null | undefined;
      context?: Record<string, unknown> | undefined;
    },
  ): Promise<void> {
    const set = {
      ...(change.favorite === undefined ? {} : { favorite: change.favorite }),
      ...(change.selected === undefined ? {} : { selected: change.selected }),
      ...(change.context === undefined ? {} : { context: JSON.stringify(change.context) }),
    };
    if (Object.keys(set).length > 0) await this.#db.updateTable("jobs").set(set).where("id", "=", id).execute();
  }

  /** Removes a finished job's record. Its images' rows go with it. */
  async remove(id: string): Promise<boolean> {
    const result = await this.#db
      .deleteFrom("jobs")
      .where("id", "=", id)
      .where("status", "in", ["completed", "failed", "cancelled"])
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  }

  /** Removes jobs that were written and then could not be queued, so that their refusal is true, and lets their key be used again. */
  async withdraw(ids: readonly string[], idempotency: IdempotencyKey | undefined): Promise<void> {
    await this.#db.deleteFrom("jobs").where("id", "in", ids).where("status", "=", "queued").execute();
    if (idempotency) await this.idempotency.release(idempotency);
  }

  /** Unfinished jobs that were made before a moment, oldest first. */
  async unfinished(before: Date, limit: number): Promise<JobRow[]> {
    return await this.#db
      .selectFrom("jobs")
      .selectAll()
      .where("status", "in", ["queued", "running"])
      .where("created_at", "<", before)
      .orderBy("created_at")
      .limit(limit)
      .execute();
  }

  /** All unfinished jobs' places in the queue, oldest first, page by page. */
  async *unfinishedEntries(page: number): AsyncIterable<Pick<JobRow, "id" | "priority" | "fair_tag">[]> {
    let after = "";
    for (;;) {
      const rows = await this.#db
        .selectFrom("jobs")
        .select(["id", "priority", "fair_tag"])
        .where("status", "in", ["queued", "running"])
        .where("id", ">", after)
        .orderBy("id")
        .limit(page)
        .execute();
      const last = rows.at(-1);
      if (!last) return;
      yield rows;
      after = last.id;
    }
  }

  /** Waiting jobs whose deadline has passed. */
  async overdue(limit: number): Promise<string[]> {
    const rows = await this.#db
      .selectFrom("jobs")
      .select("id")
      .where("status", "=", "queued")
      .where("deadline_at", "<", sql<Date>`now()`)
      .limit(limit)
      .execute();
    return rows.map((row) => row.id);
  }

  async countWaiting(): Promise<number> {
    const row = await this.#db
      .selectFrom("jobs")
      .select(sql<number>`count(*)::int`.as("count"))
      .where("status", "=", "queued")
      .executeTakeFirst();
    return row?.count ?? 0;
  }

  /** How many waiting jobs go before this one. */
  async positionOf(job: Pick<JobRow, "priority" | "fair_tag" | "created_at">): Promise<number> {
    const before: Priority[] = job.priority === "normal" ? ["urgent", "high"] : job.priority === "high" ? ["urgent"] : [];
    const row = await this.#db
      .selectFrom("jobs")
      .select(sql<number>`count(*)::int`.as("count"))
      .where("status", "=", "queued")
      .where((eb) =>
        eb.or([
          ...(before.length > 0 ? [eb("priority", "in", before)] : []),
          eb.and([
            eb("priority", "=", job.priority),
            sql<boolean>`(fair_tag, created_at) < (${job.fair_tag}, ${job.created_at})`,
          ]),
        ]),
      )
      .executeTakeFirst();
    return row?.count ?? 0;
  }

  /** The largest fair tag of each owner and the smallest of each priority, over the waiting jobs. */
  async fairTags(): Promise<{ owner: string; priority: Priority; least: number; most: number }[]> {
    return await this.#db
      .selectFrom("jobs")
      .select(["owner", "priority", sql<number>`min(fair_tag)`.as("least"), sql<number>`max(fair_tag)`.as("most")])
      .where("status", "=", "queued")
      .groupBy(["owner", "priority"])
      .execute();
  }

  /** Finished jobs before a moment that nobody marked, with their pictures' keys; for retention. */
  async expired(before: Date, limit: number): Promise<string[]> {
    const rows = await this.#db
      .selectFrom("jobs")
      .select("id")
      .where("status", "in", ["completed", "failed", "cancelled"])
      .where("favorite", "=", false)
      .where("created_at", "<", before)
      .limit(limit)
      .execute();
    return rows.map((row) => row.id);
  }
}
