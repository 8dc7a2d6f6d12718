import { ServiceError } from "../errors.ts";
import type { Usage, Work } from "../records/usage.ts";
import type { Caller } from "./caller.ts";

const DAY_SECONDS = 86_400;

/** Raises `quota_exceeded` when a key would have more drawn today (UTC) than it may: pictures, or steps x pixels. */
export async function requireQuota(caller: Caller, work: Work, usage: Usage): Promise<void> {
  const { owner, quotaPicturesPerDay: pictures, quotaMegapixelStepsPerDay: megapixelSteps } = caller;
  if (pictures === undefined && megapixelSteps === undefined) return;
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
