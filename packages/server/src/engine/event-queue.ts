/** Events of a callback as something to iterate over. */
export class EventQueue<T> {
  readonly #waiting: T[] = [];
  #wake: () => void = () => {};

  push(event: T): void {
    this.#waiting.push(event);
    this.#wake();
  }

  /** Everything that is pushed until the work ends. Raises what the work raises. */
  async *until(work: Promise<unknown>): AsyncIterable<T> {
    let ended = false;
    let failure: { error: unknown } | undefined;
    void work
      .catch((error: unknown) => {
        failure = { error };
      })
      .finally(() => {
        ended = true;
        this.#wake();
      });
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) {
        yield event;
        continue;
      }
      if (failure) throw failure.error;
      if (ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
