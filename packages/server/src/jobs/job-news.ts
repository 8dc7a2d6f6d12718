import type { EventBus, JobProgress } from "../events/bus.ts";

/** Jobs that run at once in all workers of an installation are fewer. */
const MAX_PROGRESS = 10_000;
/** News can be lost between processes; the record cannot. */
const LOOK_MILLISECONDS = 2000;

/** What the workers tell of jobs: the latest progress of each, and that something about one has changed. */
export class JobNews {
  readonly #progress = new Map<string, JobProgress>();
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #unsubscribe: () => void;

  constructor(bus: EventBus) {
    this.#unsubscribe = bus.subscribe((event) => {
      if (event.type === "progress") this.#keepProgress(event.job, event.progress);
      if (event.type === "job") for (const wake of [...(this.#waiters.get(event.job) ?? [])]) wake();
    });
  }

  /** The latest progress of a running job. */
  progressOf(id: string): JobProgress | undefined {
    return this.#progress.get(id);
  }

  /** Nothing is kept for jobs that have ended. */
  forget(id: string): void {
    this.#progress.delete(id);
  }

  /** The next change of a job, or a moment later: whoever waits looks at the record then. Rejects with the signal's reason. */
  nextChange(id: string, signal: AbortSignal | undefined): { promise: Promise<void>; stop(): void } {
    let stop = () => {};
    const promise = new Promise<void>((resolve, reject) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const abort = () => reject(signal?.reason instanceof Error ? signal.reason : new Error("The caller went away."));
      const timer = setTimeout(resolve, LOOK_MILLISECONDS);
      stop = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        waiters.delete(resolve);
        if (waiters.size === 0) this.#waiters.delete(id);
      };
      waiters.add(resolve);
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
    });
    promise.catch(() => {});
    return { promise, stop };
  }

  close(): void {
    this.#unsubscribe();
  }

  /** Ends are told by the workers, whose news can be lost; so the oldest progress goes when there is too much. */
  #keepProgress(id: string, progress: JobProgress): void {
    this.#progress.delete(id);
    this.#progress.set(id, progress);
    const [oldest] = this.#progress.keys();
    if (this.#progress.size > MAX_PROGRESS && oldest !== undefined) this.#progress.delete(oldest);
  }
}
