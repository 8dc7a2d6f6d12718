import { type Kysely, sql } from "kysely";
import type { RecordsSchema } from "../records/schema.ts";

/** What each worker says of itself, for gateways in other processes. */
export interface WorkerState {
  id: string;
  host: string;
  device: string;
  state: Record<string, unknown>;
}

/** A worker that has been silent for so long is gone. */
const SILENCE_SECONDS = 20;

export class WorkerRecords {
  readonly #db: Kysely<RecordsSchema>;

  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
  }

  async report(id: string, host: string, device: string, state: Record<string, unknown>): Promise<void> {
    const row = { host, device, state: JSON.stringify(state), seen_at: sql<Date>`now()` };
    await this.#db
      .insertInto("workers")
      .values({ id, ...row })
      .onConflict((conflict) => conflict.column("id").doUpdateSet(row))
      .execute();
  }

  async alive(): Promise<WorkerState[]> {
    return await this.#db
      .selectFrom("workers")
      .select(["id", "host", "device", "state"])
      .where("seen_at", ">", sql<Date>`now() - make_interval(secs => ${SILENCE_SECONDS})`)
      .execute();
  }

  async forget(id: string): Promise<void> {
    await this.#db.deleteFrom("workers").where("id", "=", id).execute();
  }
}
