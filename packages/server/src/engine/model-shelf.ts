/** Something loaded that takes memory. */
export interface Shelved {
  /** Bytes that it is measured to hold now. */
  readonly bytes: number;
  /** Bytes that it will come to, as far as its files tell: what is compiled later is not measured yet. */
  readonly expectedBytes: number;
  dispose(): Promise<void>;
}

interface Entry<T> {
  item: Promise<T>;
  opened: T | undefined;
  users: number;
  /** It has been used to the end, so that what is measured is all of it. */
  settled: boolean;
  /** It goes as soon as nobody works with it. */
  unwanted: boolean;
}

/** Models in memory within a budget of bytes: when it is exceeded, the least recently used one that is idle goes. */
export class ModelShelf<T extends Shelved> {
  readonly #budget: number;
  /** In order of use, least recent first. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(budgetBytes: number) {
    this.#budget = budgetBytes;
  }

  get ids(): string[] {
    return [...this.#entries.keys()];
  }

  /** Bytes by model. */
  get bytes(): Record<string, number> {
    return Object.fromEntries([...this.#entries].map(([id, entry]) => [id, sizeOf(entry)]));
  }

  /** Works with a model, which is opened where it is not there, and stays at least as long as the work. */
  async use<R>(id: string, open: () => Promise<T>, work: (item: T) => Promise<R>): Promise<R> {
    const entry = this.#entries.get(id) ?? this.#open(id, open);
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    entry.users++;
    entry.unwanted = false;
    try {
      const item = await entry.item;
      await this.#makeRoom();
      const result = await work(item);
      entry.settled = true;
      return result;
    } finally {
      entry.users--;
      if (entry.unwanted) await this.unload(id);
      await this.#makeRoom();
    }
  }

  /** Drops a model, or marks one that somebody works with to go afterwards. */
  async unload(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.unwanted = true;
    if (entry.users > 0) return;
    this.#entries.delete(id);
    await (await entry.item).dispose();
  }

  async dispose(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { item } of entries) await item.then((opened) => opened.dispose()).catch(() => {});
  }

  #open(id: string, open: () => Promise<T>): Entry<T> {
    const entry: Entry<T> = { item: open(), opened: undefined, users: 0, settled: false, unwanted: false };
    entry.item.then(
      (item) => {
        entry.opened = item;
      },
      () => this.#entries.delete(id), // whoever waits for it hears why; the next one tries again
    );
    return entry;
  }

  async #makeRoom(): Promise<void> {
    for (const [id, entry] of this.#entries) {
      const total = [...this.#entries.values()].reduce((sum, each) => sum + sizeOf(each), 0);
      if (total <= this.#budget) return;
      if (entry.users === 0) await this.unload(id);
    }
  }
}

function sizeOf<T extends Shelved>({ opened, settled }: Entry<T>): number {
  if (!opened) return 0;
  return settled ? opened.bytes : Math.max(opened.bytes, opened.expectedBytes);
}
