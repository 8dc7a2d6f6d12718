import type { Logger } from "pino";
import { LOCAL_CALLER } from "../auth/caller.ts";
import { messageOf } from "../errors.ts";
import type { EventBus } from "../events/bus.ts";
import type { DueWebhook, WebhookRecords } from "../records/webhook-records.ts";
import type { JobService } from "./job-service.ts";
import { AddressRefused, sendWebhook } from "./webhooks.ts";

export interface OutboxParts {
  records: WebhookRecords;
  jobs: JobService;
  bus: EventBus;
  /** Whether private addresses may be called. */
  allowPrivate: boolean;
  log: Logger;
}

const LOOK_MILLISECONDS = 1000;
const AT_ONCE = 20;
/** Longer than one try takes: then the process that took it is gone, and another one tells it. */
const LEASE_SECONDS = 20;
/** Before the second try, the third and so on; after the last the receiver is given up. */
const PAUSES_SECONDS = [1, 5, 30, 300, 1800] as const;
/** Jobs of this process whose ends are to be told at once; for others the regular look is soon enough. */
const MAX_EXPECTED = 10_000;

/**
 * Tells the ends of jobs to the addresses that their requests named. What is still to be told is in the jobs' records,
 * so it outlives every process: a receiver may hear of an end twice, and hears of it at least once while it answers.
 */
export class WebhookOutbox {
  readonly #parts: OutboxParts;
  readonly #expected = new Set<string>();
  #unsubscribe = () => {};
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #again = false;
  #busy = false;
  #stopped = false;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#unsubscribe = this.#parts.bus.subscribe((event) => {
      if (event.type === "job" && this.#expected.has(event.job)) this.#kick();
    });
    this.#timer = setInterval(() => this.#kick(), LOOK_MILLISECONDS);
    this.#timer.unref();
  }

  /** A job whose end is to be told has been accepted here. */
  expect(id: string): void {
    if (this.#expected.size < MAX_EXPECTED) this.#expected.add(id);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    clearInterval(this.#timer);
    await this.#running;
  }

  #kick(): void {
    this.#again = true;
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    this.#running = this.#work()
      .catch((error: unknown) => this.#parts.log.warn({ reason: messageOf(error) }, "webhooks are put off"))
      .finally(() => {
        this.#busy = false;
      });
  }

  async #work(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      const due = await this.#parts.records.takeDue(AT_ONCE, LEASE_SECONDS);
      await Promise.all(due.map((each) => this.#tell(each)));
      if (due.length === AT_ONCE) this.#again = true;
    }
  }

  async #tell({ id, webhook, tries }: DueWebhook): Promise<void> {
    const { records, jobs, allowPrivate, log } = this.#parts;
    this.#expected.delete(id);
    try {
      await sendWebhook(await jobs.get(id, LOCAL_CALLER), webhook, allowPrivate);
      await records.putOff(id, undefined);
    } catch (error) {
      const pause = error instanceof AddressRefused ? undefined : PAUSES_SECONDS[tries - 1];
      log.warn({ job: id, reason: messageOf(error), again: pause !== undefined }, "a webhook was not taken");
      await records.putOff(id, pause);
    }
  }
}
