import { type Kysely, sql } from "kysely";
import { ServiceError } from "../errors.ts";
import type { RecordsSchema } from "../records/schema.ts";
import { Turns } from "../records/turns.ts";
import type { Usage, Work } from "../records/usage.ts";
import type { Caller } from "./caller.ts";

const DAY_SECONDS = 86_400;

function hasQuota({ quotaPicturesPerDay, quotaMegapixelStepsPerDay }: Caller): boolean {
  return quotaPicturesPerDay !== undefined || quotaMegapixelStepsPerDay !== undefined;
}

/**
 * A quota is counted from the records, so of two requests at once the second has to see the first. Within one process, and
 * with several a crowd of one owner's requests then waits for `lockQuota` on one connection and not on all of them.
 */
export class QuotaTurns {
  readonly #turns = new Map<string, Turns>();

  /** Runs what counts and records a request of a caller, one after another where the caller has a quota. */
  async run<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
    if (!hasQuota(caller)) return await work();
    const turns = this.#turns.get(caller.owner) ?? new Turns();
    this.#turns.set(caller.owner, turns);
    return await turns.run(work);
  }
}

/**
 * Raises `quota_exceeded` when a key would have more drawn today (UTC) than it may: pictures, or steps x pixels.
 * @param transaction counts within it
 */
export async function requireQuota(caller: Caller, work: Work, usage: Usage, transaction?: Kysely<RecordsSchema>): Promise<void> {
  const { owner, quotaPicturesPerDay: pictures, quotaMegapixelStepsPerDay: megapixelSteps } = caller;
  if (!hasQuota(caller)) return;
  const today = await usage.today(owner, transaction);
  if (pictures !== undefined && today.pictures + work.pictures > pictures) throw exceeded(`${pictures} pictures`);
  if (megapixelSteps !== undefined && today.megapixelSteps + work.megapixelSteps > megapixelSteps)
    throw exceeded(`${megapixelSteps} million pixels x steps`);
}

/** Spells "quot": with the owner's hash it names an advisory lock that nothing else takes. */
const QUOTA_LOCK = 0x71756f74;

/**
 * What a transaction that records a caller's jobs does first where other processes write to the same records: it waits for theirs
 * with the same owner, which is over when they are committed, and only then counts. Undefined for callers without a quota.
 */
export function lockQuota(
  caller: Caller,
  work: Work,
  usage: Usage,
): ((transaction: Kysely<RecordsSchema>) => Promise<void>) | undefined {
  if (!hasQuota(caller)) return undefined;
  return async (transaction) => {
    // A statement of its own: the count has to look at the records after the wait.
    await sql`SELECT pg_advisory_xact_lock(${QUOTA_LOCK}::int, hashtext(${caller.owner}))`.execute(transaction);
    await requireQuota(caller, work, usage, transaction);
  };
}

function exceeded(limit: string): ServiceError {
  return new ServiceError("quota_exceeded", `This key has at most ${limit} a day; go on tomorrow (UTC).`, {
    retryAfter: DAY_SECONDS - (Math.floor(Date.now() / 1000) % DAY_SECONDS),
  });
}
