import type { Kysely } from "kysely";
import type { RecordsSchema } from "./schema.ts";

/** A caller's key for a request, and what tells that request from another one under the same key. */
export interface IdempotencyKey {
  owner: string;
  key: string;
  fingerprint: string;
}

/** Which jobs a caller's idempotency key stands for. */
export class IdempotencyKeys {
  readonly #db: Kysely<RecordsSchema>;

  /** @param db a transaction where the key and its jobs are written together */
  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
  }

  /** Fails where the owner has used the key before. */
  async keep(key: IdempotencyKey, jobIds: readonly string[]): Promise<void> {
    await this.#db
      .insertInto("idempotency")
      .values({ ...key, job_ids: JSON.stringify(jobIds) })
      .execute();
  }

  async find(owner: string, key: string): Promise<{ fingerprint: string; job_ids: string[] } | undefined> {
    return await this.#db
      .selectFrom("idempotency")
      .select(["fingerprint", "job_ids"])
      .where("owner", "=", owner)
      .where("key", "=", key)
      .executeTakeFirst();
  }

  /** Lets a key be used again. */
  async release({ owner, key }: IdempotencyKey): Promise<void> {
    await this.#db.deleteFrom("idempotency").where("owner", "=", owner).where("key", "=", key).execute();
  }

  /** Forgets keys that were used before a moment. */
  async forget(before: Date): Promise<void> {
    await this.#db.deleteFrom("idempotency").where("created_at", "<", before).execute();
  }
}
