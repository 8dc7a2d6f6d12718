import type { BusEvent, EventBus } from "../../events/bus.ts";

/** How long a wait for news lasts at most: some of other processes' can be lost, so the record has to be asked too. */
const LOOK_MILLISECONDS = 2000;

/** News of one job, in the order in which they came. */
export class JobFeed {
  readonly #events: BusEvent[] = [];
  readonly #stop: () => void;
  #wake = () => {};

  constructor(id: string, bus: EventBus) {
    this.#stop = bus.subscribe((event) => {
      if (!("owner" in event) || event.job !== id) return;
      this.#events.push(event);
      this.#wake();
    });
  }

  /** The next event, or undefined when none has come for a while. */
  async next(): Promise<BusEvent | undefined> {
    if (this.#events.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MILLISECONDS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#events.shift();
  }

  /** Ends a wait. */
  wake(): void {
    this.#wake();
  }

  stop(): void {
    this.#stop();
  }
}
