/**
 * What was opened, by name: each once, also where it is asked for again before it is there. What failed is tried again, for a
 * file may be put right later.
 */
export class Kept<T> {
  readonly #limit: number;
  /** In the order of use, the oldest first. */
  readonly #entries = new Map<string, Promise<T>>();

  /** @param limit entries at most; the one that was not used for longest goes. */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  /** What has this name, opened where it is not there yet. */
  get(key: string, open: () => Promise<T>): Promise<T> {
    const found = this.#entries.get(key) ?? open();
    this.#entries.delete(key);
    this.#entries.set(key, found);
    found.catch(() => this.#entries.delete(key));
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#limit && oldest !== undefined) this.#entries.delete(oldest);
    return found;
  }
}
