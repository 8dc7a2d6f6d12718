import type { Insertable, Kysely, Selectable } from "kysely";
import type { RecordsSchema, UploadsTable } from "./schema.ts";

/** Pictures that callers sent. */
export class Uploads {
  readonly #db: Kysely<RecordsSchema>;

  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
  }

  async insert(upload: Insertable<UploadsTable>): Promise<void> {
    await this.#db.insertInto("uploads").values(upload).execute();
  }

  async get(id: string): Promise<Selectable<UploadsTable> | undefined> {
    return await this.#db.selectFrom("uploads").selectAll().where("id", "=", id).executeTakeFirst();
  }

  async olderThan(moment: Date, limit: number): Promise<Selectable<UploadsTable>[]> {
    return await this.#db.selectFrom("uploads").selectAll().where("created_at", "<", moment).limit(limit).execute();
  }

  async remove(id: string): Promise<void> {
    await this.#db.deleteFrom("uploads").where("id", "=", id).execute();
  }
}
