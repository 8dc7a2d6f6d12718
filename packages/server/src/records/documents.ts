import { type Kysely, sql } from "kysely";
import type { RecordsSchema } from "./schema.ts";

export interface Document {
  id: number;
  owner: string;
  data: Record<string, unknown>;
  created_at: Date;
  updated_at: Date;
}

export interface DocumentQuery {
  owner?: string | undefined;
  /** Fields that must be equal, compared as JSON. */
  where?: Record<string, unknown> | undefined;
  /** A part of the text that the document's field `words` holds, in lower case there. */
  search?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
  limit: number;
  offset?: number | undefined;
}

/** What a face keeps of its own, in a collection of its name; newest first. */
export class Documents {
  readonly #db: Kysely<RecordsSchema>;

  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
  }

  async insert(collection: string, owner: string, data: Record<string, unknown>): Promise<Document> {
    const made = await this.insertOnly(collection, owner, data);
    if (!made) throw new Error(`${owner} has a document in ${collection} already.`);
    return made;
  }

  /** Undefined where the collection allows an owner one document, and it is there. */
  async insertOnly(collection: string, owner: string, data: Record<string, unknown>): Promise<Document | undefined> {
    return await this.#db
      .insertInto("documents")
      .values({ collection, owner, data: JSON.stringify(data) })
      .onConflict((conflict) => conflict.doNothing())
      .returning(["id", "owner", "data", "created_at", "updated_at"])
      .executeTakeFirst();
  }

  async get(collection: string, id: number): Promise<Document | undefined> {
    return await this.#db
      .selectFrom("documents")
      .select(["id", "owner", "data", "created_at", "updated_at"])
      .where("collection", "=", collection)
      .where("id", "=", id)
      .executeTakeFirst();
  }

  async find(collection: string, query: DocumentQuery): Promise<Document[]> {
    return await this.#matching(collection, query)
      .select(["id", "owner", "data", "created_at", "updated_at"])
      .orderBy("id", "desc")
      .limit(query.limit)
      .offset(query.offset ?? 0)
      .execute();
  }

  async count(collection: string, query: Omit<DocumentQuery, "limit" | "offset">): Promise<number> {
    const row = await this.#matching(collection, query).select(sql<number>`count(*)::int`.as("count")).executeTakeFirst();
    return row?.count ?? 0;
  }

  /** Writes the given fields over the document's. */
  async update(collection: string, id: number, change: Record<string, unknown>): Promise<Document | undefined> {
    return await this.#db
      .updateTable("documents")
      .set({ data: sql<string>`data || ${JSON.stringify(change)}::jsonb`, updated_at: sql<Date>`now()` })
      .where("collection", "=", collection)
      .where("id", "=", id)
      .returning(["id", "owner", "data", "created_at", "updated_at"])
      .executeTakeFirst();
  }

  async remove(collection: string, id: number): Promise<boolean> {
    const result = await this.#db
      .deleteFrom("documents")
      .where("collection", "=", collection)
      .where("id", "=", id)
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  }

  #matching(collection: string, { owner, where, search, from, to }: Omit<DocumentQuery, "limit" | "offset">) {
    let query = this.#db.selectFrom("documents").where("collection", "=", collection);
    if (owner !== undefined) query = query.where("owner", "=", owner);
    if (where) query = query.where(sql<boolean>`data @> ${JSON.stringify(where)}::jsonb`);
    if (search) query = query.where(sql<boolean>`data->>'words' LIKE ${`%${search.toLowerCase().replace(/[\\%_]/g, "\\$&")}%`}`);
    if (from) query = query.where("created_at", ">=", from);
    if (to) query = query.where("created_at", "<", to);
    return query;
  }
}
