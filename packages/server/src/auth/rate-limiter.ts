import { ServiceError } from "../errors.ts";
import type { Caller } from "./caller.ts";

interface Bucket {
  tokens: number;
  filledAt: number;
}

/** Requests a minute for each owner: a token bucket that holds one minute's worth. */
export class RateLimiter {
  readonly #perMinute: number;
  readonly #buckets = new Map<string, Bucket>();

  /** `perMinute` holds for callers without a limit of their own; 0 is none. */
  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Raises `rate_limited` with the seconds to wait. */
  take(caller: Caller, now = performance.now()): void {
    const limit = caller.ratePerMinute ?? this.#perMinute;
    if (limit <= 0) return;
    const bucket = this.#buckets.get(caller.owner) ?? { tokens: limit, filledAt: now };
    bucket.tokens = Math.min(limit, bucket.tokens + ((now - bucket.filledAt) / 60_000) * limit);
    bucket.filledAt = now;
    this.#buckets.set(caller.owner, bucket);
    if (bucket.tokens < 1) {
      const wait = Math.ceil(((1 - bucket.tokens) / limit) * 60);
      throw new ServiceError("rate_limited", `More than ${limit} requests a minute; try again in ${wait} s.`, {
        retryAfter: wait,
      });
    }
    bucket.tokens -= 1;
  }
}
