import { ServiceError } from "../errors.ts";
import { Turns } from "../records/turns.ts";
import type { Usage, Work } from "../records/usage.ts";
import type { Caller } from "./caller.ts";

const DAY_SECONDS = 86_400;

function hasQuota({ quotaPicturesPerDay, quotaMegapixelStepsPerDay }: Caller): boolean {
  return quotaPicturesPerDay !== undefined || quotaMegapixelStepsPerDay !== undefined;
}

/** A quota is counted from the records, so of two requests at once the second has to see the first. Within one process. */
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

/** Raises `quota_exceeded` when a key would have more drawn today (UTC) than it may: pictures, or steps x pixels. */
export async function requireQuota(caller: Caller, work: Work, usage: Usage): Promise<void> {
  const { owner, quotaPicturesPerDay: pictures, quotaMegapixelStepsPerDay: megapixelSteps } = caller;
  if (!hasQuota(caller)) return;
  const today = await usage.today(owner);
  if (pictures !== undefined && today.pictures + work.pictures > pictures) throw exceeded(`${pictures} pictures`);
  if (megapixelSteps !== undefined && today.megapixelSteps + work.megapixelSteps > megapixelSteps)
    throw exceeded(`${megapixelSteps} million pixels x steps`);
}

function exceeded(limit: string): ServiceError {
  return new ServiceError("quota_exceeded", `This key has at most ${limit} a day; go on tomorrow (UTC).`, {
    retryAfter: DAY_SECONDS - (Math.floor(Date.now() / 1000) % DAY_SECONDS),
  });
}
