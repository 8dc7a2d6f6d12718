interface Waiting<In, Out> {
  item: In;
  resolve(out: Out): void;
  reject(error: unknown): void;
}

/**
 * Group commit: while one batch is being written, the next one gathers. A single item is written at once, and many at
 * the same time cost little more than one. When a batch fails, its items are tried one by one, so that nobody fails
 * for a neighbour.
 */
export class Batcher<In, Out> {
  readonly #write: (items: In[]) => Promise<Out[]>;
  readonly #most: number;
  #waiting: Waiting<In, Out>[] = [];
  #writing = false;

  constructor(write: (items: In[]) => Promise<Out[]>, most: number) {
    this.#write = write;
    this.#most = most;
  }

  async add(item: In): Promise<Out> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#writing) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, this.#most);
      this.#waiting = this.#waiting.slice(this.#most);
      await this.#settle(batch);
    }
    this.#writing = false;
  }

  async #settle(batch: Waiting<In, Out>[]): Promise<void> {
    try {
      const outs = await this.#write(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const out = outs[index];
        if (out === undefined) reject(new Error("The batch came back short."));
        else resolve(out);
      }
    } catch (error) {
      const [only, ...others] = batch;
      if (only && others.length === 0) only.reject(error);
      else for (const each of batch) await this.#settle([each]);
    }
  }
}
