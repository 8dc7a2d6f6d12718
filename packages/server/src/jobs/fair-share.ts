import type { Priority } from "../records/schema.ts";

/**
 * Fairness between keys: start-time fair queueing (Goyal, Vin, Cheng 1996) with every job of weight one. A job's tag
 * is one more than its owner's last tag, but never less than the tag of the job that started last; so a newcomer
 * stands beside the others' next jobs and not behind all that they have queued.
 */
export class FairShare {
  readonly #now: Record<Priority, number> = { urgent: 0, high: 0, normal: 0 };
  readonly #last: Record<Priority, Map<string, number>> = { urgent: new Map(), high: new Map(), normal: new Map() };
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The tag of a new job. */
  tag(owner: string, priority: Priority): number {
    const last = this.#last[priority].get(owner);
    const tag = Math.min(this.#limit, Math.max(this.#now[priority], (last ?? -1) + 1));
    this.#last[priority].set(owner, tag);
    return tag;
  }

  /** A job has started: nobody's next job goes before it any more. */
  started(priority: Priority, tag: number): void {
    this.#now[priority] = Math.max(this.#now[priority], tag);
  }

  /** Nothing waits at this priority, so that its tags may begin anew. */
  idle(priority: Priority): void {
    this.#now[priority] = 0;
    this.#last[priority].clear();
  }

  /** Goes on from the waiting jobs of an earlier process. */
  restore(tags: readonly { owner: string; priority: Priority; least: number; most: number }[]): void {
    for (const priority of ["urgent", "high", "normal"] as const) {
      const own = tags.filter((tag) => tag.priority === priority);
      if (own.length > 0) this.#now[priority] = Math.min(...own.map((tag) => tag.least));
      for (const { owner, most } of own) this.#last[priority].set(owner, most);
    }
  }
}
