import { hostname } from "node:os";
import type { Logger } from "pino";
import { endsWithin } from "../ends-within.ts";
import type { EngineSupervisor } from "../engine/supervisor.ts";
import { messageOf } from "../errors.ts";
import type { EventBus } from "../events/bus.ts";
import { newId } from "../jobs/ids.ts";
import { isFinished } from "../jobs/job-view.ts";
import type { JobQueue, Outcome, QueueWorker, TakenJob } from "../queue/job-queue.ts";
import type { JobRow, JobStore } from "../records/job-store.ts";
import { type AttemptParts, type AttemptResult, runAttempt } from "./attempt.ts";
import { type Candidate, type Capacity, chooseNext, holdLimits } from "./policy.ts";
import type { WorkerRecords } from "./worker-records.ts";

export interface WorkerOptions extends Omit<AttemptParts, "workerId"> {
  store: JobStore;
  queue: JobQueue;
  bus: EventBus;
  supervisor: EngineSupervisor;
  records: WorkerRecords;
  slots: number;
  lookahead: number;
  lockSeconds: number;
  /** Hears how many jobs run, whenever that changes. */
  onRunning(count: number): void;
  log: Logger;
}

interface Held extends Candidate {
  row: JobRow;
  settle(outcome: Outcome): void;
  fail(error: unknown): void;
}

interface Started extends Held {
  abort: AbortController;
}

/** Why a running job is told to stop. */
export type StopReason = "cancelled" | "deadline" | "drain";

/** For jobs to go back to the queue after the drain time; one that is there takes them in milliseconds. */
const GIVE_BACK_MILLISECONDS = 3000;
const WATCH_MILLISECONDS = 2000;
const REPORT_MILLISECONDS = 5000;
/** Node's timers hold 31 bits, which is more than the longest deadline that a request may name. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Takes jobs from the queue, holds a few more than run, and starts them as the policy says. What it holds is locked
 * in the queue, so the end of this process gives everything back.
 */
export class Worker {
  readonly id = newId("worker");
  readonly #options: WorkerOptions;
  readonly #held = new Map<string, Held>();
  readonly #running = new Map<string, Started>();
  readonly #capacity: Capacity;
  #queueWorker: QueueWorker | undefined;
  #unsubscribe = () => {};
  #timers: NodeJS.Timeout[] = [];
  #draining = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#capacity = { slots: options.slots, urgentExtra: options.slots };
  }

  async start(): Promise<void> {
    const { bus, queue, slots, lookahead, lockSeconds, log } = this.#options;
    this.#unsubscribe = bus.subscribe((event) => {
      if (event.type === "cancel") this.#running.get(event.job)?.abort.abort("cancelled" satisfies StopReason);
      if (event.type === "model") void this.#control(event.action, event.model);
    });
    this.#timers = [
      setInterval(
        () => void this.#watch().catch((error) => log.warn({ err: error }, "cannot look for cancelled jobs")),
        WATCH_MILLISECONDS,
      ),
      setInterval(() => void this.#report(), REPORT_MILLISECONDS),
    ];
    for (const timer of this.#timers) timer.unref();
    await this.#report();
    this.#queueWorker = await queue.work((taken) => this.#take(taken), {
      hold: holdLimits(slots, lookahead),
      lockMilliseconds: lockSeconds * 1000,
      onError: (error) => log.warn({ err: error }, "the queue has trouble"),
    });
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /**
   * Takes no more, gives back what waits here, lets running jobs go on for a while, and gives back the rest. What cannot
   * be given back, because queue or records are away, goes back by itself when its lock expires.
   */
  async close(drainSeconds: number): Promise<void> {
    this.#draining = true;
    const closing = this.#queueWorker?.close();
    for (const held of this.#held.values()) held.settle("hand-back");
    this.#held.clear();
    const timer = setTimeout(() => {
      for (const { abort } of this.#running.values()) abort.abort("drain" satisfies StopReason);
    }, drainSeconds * 1000);
    if (closing) await endsWithin(closing, drainSeconds * 1000 + GIVE_BACK_MILLISECONDS);
    clearTimeout(timer);
    for (const each of this.#timers) clearInterval(each);
    this.#unsubscribe();
    await this.#options.records.forget(this.id).catch(() => {});
  }

  /** A job from the queue: resolves when its end is recorded or it is to go back. */
  async #take({ id, priority }: TakenJob): Promise<Outcome> {
    const row = this.#draining ? undefined : await this.#options.store.get(id);
    if (this.#draining) return "hand-back";
    if (!row || isFinished(row.status)) return "done";
    // A second delivery, after a lock that expired while this process was busy: the first one's end settles both.
    const earlier = this.#held.get(id) ?? this.#running.get(id);
    return await new Promise<Outcome>((resolve, reject) => {
      if (earlier) {
        const { settle, fail } = earlier;
        earlier.settle = (outcome) => {
          settle(outcome);
          resolve(outcome);
        };
        earlier.fail = (error) => {
          fail(error);
          reject(error);
        };
        return;
      }
      const since = row.created_at.getTime() / 1000;
      this.#held.set(id, {
        id,
        priority,
        model: row.model,
        since,
        suspect: row.engine_deaths > 0,
        row,
        settle: resolve,
        fail: reject,
      });
      this.#pump();
    });
  }

  /** Starts whatever the policy lets start. */
  #pump(): void {
    while (!this.#draining) {
      const loaded = new Set([...this.#options.supervisor.loaded, ...[...this.#running.values()].map((job) => job.model)]);
      const next = chooseNext([...this.#held.values()], [...this.#running.values()], loaded, this.#capacity, Date.now() / 1000);
      const held = next && this.#held.get(next.id);
      if (!held) return;
      this.#held.delete(held.id);
      const started: Started = Object.assign(held, { abort: new AbortController() });
      this.#running.set(held.id, started);
      this.#options.onRunning(this.#running.size);
      void this.#run(started);
    }
  }

  async #run(job: Started): Promise<void> {
    let result: AttemptResult;
    const deadline = job.row.deadline_at?.getTime();
    const timer =
      deadline === undefined
        ? undefined
        : setTimeout(() => job.abort.abort("deadline" satisfies StopReason), Math.min(deadline - Date.now(), LONGEST_TIMER));
    try {
      result = await runAttempt(job.id, job.abort.signal, { ...this.#options, workerId: this.id });
    } catch (error) {
      this.#options.log.error({ job: job.id, err: error }, "the records do not take the end of a job; it will run again");
      job.fail(error);
      queueMicrotask(() => this.#pump());
      return;
    } finally {
      clearTimeout(timer);
      this.#running.delete(job.id);
      this.#options.onRunning(this.#running.size);
    }
    // At once, so that a second delivery always finds the job. It comes back only after an engine died with it in flight.
    if (result === "again" && !this.#draining) this.#held.set(job.id, { ...job, suspect: true });
    else job.settle(result === "again" ? "hand-back" : result);
    this.#pump();
  }

  /** Looks in the records for jobs that were cancelled while the news of it was lost. */
  async #watch(): Promise<void> {
    for (const id of await this.#options.store.toStop([...this.#running.keys()])) {
      this.#running.get(id)?.abort.abort("cancelled" satisfies StopReason);
    }
  }

  async #report(): Promise<void> {
    const { supervisor, records, log, slots } = this.#options;
    const state = {
      ...supervisor.about,
      ready: supervisor.isReady,
      memory: supervisor.memory,
      loaded: supervisor.loaded,
      running: this.#running.size,
      slots,
    };
    await records
      .report(this.id, hostname(), supervisor.about?.device ?? "", state)
      .catch((error: unknown) => log.warn({ err: error }, "cannot report to the records"));
  }

  async #control(action: "load" | "unload", model: string): Promise<void> {
    const { supervisor, catalogue, log } = this.#options;
    try {
      const { id, path } = catalogue.require(model, "checkpoint", "model");
      await (action === "load" ? supervisor.load({ id, path }) : supervisor.unload(id));
      await this.#report();
    } catch (error) {
      log.warn({ model, action, reason: messageOf(error) }, "the engine did not do as it was told");
    }
  }
}
