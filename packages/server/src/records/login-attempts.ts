import { type Kysely, sql } from "kysely";
import type { RecordsSchema } from "./schema.ts";

/** Wrong passwords for one account before it has to wait. */
const MAX_FAILURES = 10;
const WAIT_MINUTES = 15;
/** Accounts whose attempts are counted, so that made-up names do not fill the table; the oldest are forgotten first. */
const MAX_COUNTED = 10_000;

/** Logins that have not succeeded, by account: in the database, so that the count holds over restarts and for all gateways. */
export class LoginAttempts {
  readonly #db: Kysely<RecordsSchema>;

  constructor(db: Kysely<RecordsSchema>) {
    this.#db = db;
  }

  /**
   * Counts an attempt before its password is looked at, so that many at once are not one. False where the account has to
   * wait; such attempts do not make it wait longer.
   */
  async begin(account: string): Promise<boolean> {
    const soon = sql<Date>`now() + make_interval(mins => ${WAIT_MINUTES})`;
    const row = await this.#db
      .insertInto("login_attempts")
      .values({ account, failures: 1, until: soon })
      .onConflict((conflict) =>
        conflict.column("account").doUpdateSet({
          failures: sql<number>`CASE WHEN login_attempts.until < now() THEN 1 ELSE login_attempts.failures + 1 END`,
          until: sql<Date>`CASE WHEN login_attempts.until >= now() AND login_attempts.failures >= ${MAX_FAILURES}
            THEN login_attempts.until ELSE ${soon} END`,
        }),
      )
      .returning("failures")
      .executeTakeFirstOrThrow();
    if (row.failures === 1) await this.#forgetOld();
    return row.failures <= MAX_FAILURES;
  }

  /** The right password came. */
  async succeed(account: string): Promise<void> {
    await this.#db.deleteFrom("login_attempts").where("account", "=", account).execute();
  }

  async #forgetOld(): Promise<void> {
    await this.#db
      .deleteFrom("login_attempts")
      .where(({ or, eb, selectFrom }) =>
        or([
          eb("until", "<", sql<Date>`now()`),
          eb("account", "in", selectFrom("login_attempts").select("account").orderBy("until", "desc").offset(MAX_COUNTED)),
        ]),
      )
      .execute();
  }
}
