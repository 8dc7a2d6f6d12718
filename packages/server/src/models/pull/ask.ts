import { setTimeout as sleep } from "node:timers/promises";
import { codeOf, messageOf } from "../../errors.ts";
import { PullError } from "./pull-error.ts";

/** The first bytes of an answer, over slow lines and behind busy servers. */
const ANSWER_MILLISECONDS = 30_000;
/** Pauses between attempts: half a minute in all for a server that restarts. */
export const PAUSES_MILLISECONDS: readonly number[] = [500, 1000, 2000, 4000, 8000, 16_000];
/** The longest pause that the other side may ask for. */
const LONGEST_PAUSE_MILLISECONDS = 60_000;
/** A listing of the largest repositories has some megabytes. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface AskOptions {
  headers: Record<string, string>;
  signal: AbortSignal;
  pauses?: readonly number[];
}

/** Fetches JSON, again after failures that pass. Raises PullError; an answer of 400 to 499 comes back as it is. */
export async function askJson(url: string, options: AskOptions): Promise<{ response: Response; json: unknown }> {
  return await again(options, async () => {
    const response = await ask(url, options.headers, options.signal);
    if (isPassing(response.status)) throw new PassingError(`${new URL(url).host} answers ${response.status}`, pauseOf(response));
    if (Number(response.headers.get("content-length") ?? 0) > MAX_ANSWER_BYTES)
      throw new PullError("unavailable", `${url} answers with more than ${MAX_ANSWER_BYTES} bytes.`);
    const text = await response.text();
    try {
      return { response, json: text === "" ? undefined : (JSON.parse(text) as unknown) };
    } catch (error) {
      if (!response.ok) return { response, json: undefined };
      throw new PullError("unavailable", `${url} does not answer with JSON: is the endpoint right?`, error);
    }
  });
}

/** One request whose headers must arrive in time; its body may take longer. */
export async function ask(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ANSWER_MILLISECONDS);
  try {
    // On a redirect to another origin fetch leaves the Authorization header behind.
    return await fetch(url, { headers: { "user-agent": "kiln", ...headers }, signal: AbortSignal.any([signal, late.signal]) });
  } catch (error) {
    if (signal.aborted) throw cancelled();
    if (late.signal.aborted) throw new PassingError(`${new URL(url).host} says nothing for ${ANSWER_MILLISECONDS / 1000} s`);
    throw new PassingError(`${new URL(url).host} cannot be reached: ${reasonOf(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** A failure after which the same request may succeed. */
export class PassingError extends Error {
  readonly pauseMilliseconds: number | undefined;

  constructor(message: string, pauseMilliseconds?: number) {
    super(message);
    this.pauseMilliseconds = pauseMilliseconds;
  }
}

/**
 * Tries again after each PassingError, with growing pauses. Work that says that it got further starts the count anew.
 * @throws PullError unavailable when the pauses are used up, cancelled after the signal
 */
export async function again<T>(
  { signal, pauses = PAUSES_MILLISECONDS }: Pick<AskOptions, "signal" | "pauses">,
  work: (progressed: () => void) => Promise<T>,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await work(() => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) throw cancelled();
      if (!(error instanceof PassingError)) throw error;
      const pause = pauses[failures++];
      if (pause === undefined)
        throw new PullError(
          "unavailable",
          `${error.message}, also after ${pauses.length + 1} attempts; what has arrived is kept, so pull again later.`,
        );
      await sleep(Math.max(pause, error.pauseMilliseconds ?? 0), undefined, { signal }).catch(() => {
        throw cancelled();
      });
    }
  }
}

export function cancelled(): PullError {
  return new PullError("cancelled", "The download was cancelled; what has arrived is kept for the next one.");
}

/** Answers that another attempt may change. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** What a Retry-After header asks for, within reason. */
export function pauseOf(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, LONGEST_PAUSE_MILLISECONDS) : undefined;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return codeOf(cause) ?? (cause === undefined ? messageOf(error) : messageOf(cause));
}
