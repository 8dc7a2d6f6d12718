import { type Kysely, sql } from "kysely";
import type { RecordsSchema } from "./schema.ts";

export interface UsageDay {
  owner: string;
  day: string;
  jobs: number;
  pictures: number;
  megapixel_steps: number;
}

/** Who made how much, by day (UTC). */
export class Usage {
  readonly #db: Kysely<RecordsSchema>;

  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
  }

  async days(owner: string | undefined, from: string, limit = 1000): Promise<UsageDay[]> {
    let query = this.#db.selectFrom("usage").selectAll().where("day", ">=", from).orderBy("day", "desc").limit(limit);
    if (owner !== undefined) query = query.where("owner", "=", owner);
    return await query.execute();
  }

  /** Pictures of today, made and still to be made: what a daily quota counts. */
  async picturesToday(owner: string): Promise<number> {
    const day = new Date().toISOString().slice(0, 10);
    const made = await this.#db
      .selectFrom("usage")
      .select("pictures")
      .where("owner", "=", owner)
      .where("day", "=", day)
      .executeTakeFirst();
    const coming = await this.#db
      .selectFrom("jobs")
      .select(sql<number>`coalesce(sum((request->>'n')::int), 0)::int`.as("pictures"))
      .where("owner", "=", owner)
      .where("status", "in", ["queued", "running"])
      .executeTakeFirst();
    return (made?.pictures ?? 0) + (coming?.pictures ?? 0);
  }
}
