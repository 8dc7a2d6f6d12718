import { type Kysely, sql } from "kysely";
import type { RecordsSchema } from "./schema.ts";

/** The end of a job that somebody wants to be told. */
export interface DueWebhook {
  id: string;
  webhook: { url: string; secret?: string | undefined };
  /** With the one that is due. */
  tries: number;
}

/** Which ends of jobs are still to be told, in the jobs' own records. */
export class WebhookRecords {
  readonly #db: Kysely<RecordsSchema>;

  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
  }

  /**
   * Takes the ended jobs whose webhooks are due, for as long as the lease: no other process tells them meanwhile, and
   * when this one dies they are due again.
   */
  async takeDue(limit: number, leaseSeconds: number): Promise<DueWebhook[]> {
    const rows = await this.#db
      .updateTable("jobs")
      .set((eb) => ({
        webhook_at: sql<Date>`now() + make_interval(secs => ${leaseSeconds})`,
        webhook_tries: eb("webhook_tries", "+", 1),
      }))
      .where("id", "in", (eb) =>
        eb
          .selectFrom("jobs")
          .select("id")
          .where("webhook_at", "<=", sql<Date>`now()`)
          .where("status", "in", ["completed", "failed", "cancelled"])
          .orderBy("webhook_at")
          .limit(limit)
          .forUpdate()
          .skipLocked(),
      )
      .returning(["id", "request", "webhook_tries"])
      .execute();
    return rows.flatMap(({ id, request: { webhook }, webhook_tries }) =>
      webhook ? [{ id, webhook, tries: webhook_tries }] : [],
    );
  }

  /** The next try's pause; undefined: the webhook was taken, or is given up. */
  async putOff(id: string, seconds: number | undefined): Promise<void> {
    const next = seconds === undefined ? null : sql<Date>`now() + make_interval(secs => ${seconds})`;
    await this.#db.updateTable("jobs").set({ webhook_at: next }).where("id", "=", id).execute();
  }
}
