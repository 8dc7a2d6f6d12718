import { type Kysely, sql } from "kysely";
import type { RecordsSchema } from "./schema.ts";

/** The day (UTC) by the database's clock, so that workers and gateways on several machines count on the same one. */
export const TODAY = sql<string>`to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD')`;

export interface UsageDay {
  owner: string;
  day: string;
  jobs: number;
  pictures: number;
  megapixel_steps: number;
}

/** How much drawing there is in something. */
export interface Work {
  pictures: number;
  /** Steps x pixels in millions, over all pictures. */
  megapixelSteps: number;
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
    const days = await query.execute();
    // Sums of fractions end in digits that mean nothing.
    return days.map((day) => ({ ...day, megapixel_steps: Math.round(day.megapixel_steps * 1000) / 1000 }));
  }

  /**
   * What was made today and what is still to be made: what daily quotas count.
   * @param records a transaction that the count is part of
   */
  async today(owner: string, records: Kysely<RecordsSchema> = this.#db): Promise<Work> {
    // In one statement, hence in one view of the records: a job that ends between two would be in neither.
    const { rows } = await sql<{ pictures: number; megapixel_steps: number }>`
      SELECT coalesce(sum(pictures), 0)::int AS pictures, coalesce(sum(megapixel_steps), 0)::float8 AS megapixel_steps
      FROM (
        SELECT pictures, megapixel_steps FROM kiln.usage WHERE owner = ${owner} AND day = ${TODAY}
        UNION ALL
        SELECT (request->>'n')::int, (request->>'n')::int * (request->>'steps')::int *
          (request->>'width')::float8 * (request->>'height')::float8 / 1e6
        FROM kiln.jobs WHERE owner = ${owner} AND status IN ('queued', 'running')
      ) AS work`.execute(records);
    return { pictures: rows[0]?.pictures ?? 0, megapixelSteps: rows[0]?.megapixel_steps ?? 0 };
  }
}
