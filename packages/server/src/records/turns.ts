/** With so many in line the processor is the bottleneck, and a round of the event loop for each costs a fifth of the throughput. */
const BUSY = 4;

/**
 * First come, first served: one holder at a time. Between two of them the event loop comes round, unless many wait: what the first
 * one's end lets go, such as an answer to a client, is written before the next one's work takes the processor.
 */
export class Turns {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  /** Waits for the turn and returns the function that ends it. */
  async take(): Promise<() => void> {
    const before = this.#last;
    let end: () => void = () => {};
    this.#last = new Promise((resolve) => {
      end = () => (this.#waiting < BUSY ? setImmediate(resolve) : resolve());
    });
    this.#waiting++;
    await before;
    this.#waiting--;
    return end;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const end = await this.take();
    try {
      return await work();
    } finally {
      end();
    }
  }
}
