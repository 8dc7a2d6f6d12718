import type { Logger } from "pino";
import { endsWithin } from "./ends-within.ts";
import { messageOf } from "./errors.ts";

export type Closer = () => Promise<void> | void;

/** What closing may take beyond the drain time: parts that say goodbye to servers which are away wait for them. */
const CLOSING_MILLISECONDS = 5_000;
/** Each part has this long even when others have used the time up: enough for one that has nothing to wait for. */
const LEAST_MILLISECONDS = 250;

/**
 * Closes parts one after another. One that does not end in time is left behind: the process ends all the same, and what
 * it leaves is no more than what a killed one leaves. Never raises.
 */
export async function closeParts(parts: readonly Closer[], drainSeconds: number, log: Logger): Promise<void> {
  const deadline = performance.now() + drainSeconds * 1000 + CLOSING_MILLISECONDS;
  for (const close of parts) {
    const limit = Math.max(LEAST_MILLISECONDS, deadline - performance.now());
    try {
      if (!(await endsWithin(Promise.resolve(close()), limit))) log.warn("a part did not close in time and is left behind");
    } catch (error) {
      log.warn({ reason: messageOf(error) }, "a part did not close cleanly");
    }
  }
}
