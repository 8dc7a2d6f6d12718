import { KilnError } from "./kiln-error.ts";

/** Something loaded that takes memory. */
export interface Shelved {
  /** Bytes that it is measured to hold now. */
  readonly bytes: number;
  dispose(): Promise<void>;
}

/** What a piece of work will take, said before it begins. */
export interface Needs {
  /** Bytes of weights that it will have loaded at its end, as far as files tell. */
  weights: number;
  /** Bytes on top of the weights, at its peak. */
  working: number;
  /** Which parts of the model it uses: once such work has been done to its end, what is measured stands for `weights`. */
  parts?: string | undefined;
}

export interface UseOptions<T> {
  needs(item: T): Promise<Needs>;
  /** Higher goes first among those that wait for room. */
  priority?: number;
  /** Ends the wait for room, with the code `cancelled`. */
  signal?: AbortSignal;
}

interface Entry<T> {
  item: Promise<T>;
  opened: T | undefined;
  /** Who works with it; empty: it is idle. */
  users: Set<Needs>;
  /** Parts that have been used to the end, so that what is measured is all of them. */
  settled: Set<string>;
  /** Somebody has worked with it: from then on it counts as loaded. */
  admitted: boolean;
  /** It goes as soon as nobody works with it. */
  unwanted: boolean;
}

interface Waiter<T> {
  id: string;
  open: () => Promise<T>;
  needs: Needs;
  priority: number;
  enter(entry: Entry<T>): void;
}

/**
 * Models in memory within a budget of bytes. Work is let in when what it needs fits beside all other work: idle models go
 * for it, least recently used first; where that is not enough, it waits until others are done, in order of priority and
 * arrival. How much work one model does alone is not limited here.
 */
export class ModelShelf<T extends Shelved> {
  readonly #budget: number;
  /** In order of use, least recent first. */
  readonly #entries = new Map<string, Entry<T>>();
  readonly #waiting: Waiter<T>[] = [];
  #admitting: Promise<void> | undefined;

  constructor(budgetBytes: number) {
    this.#budget = budgetBytes;
  }

  get ids(): string[] {
    return [...this.#entries].filter(([, { admitted }]) => admitted).map(([id]) => id);
  }

  /** Bytes by model: what is measured, or will be there when the present work is done. */
  get bytes(): Record<string, number> {
    return Object.fromEntries(this.ids.map((id) => [id, weightsOf(this.#entries.get(id))]));
  }

  /** Works with a model, which is opened where it is not there, and stays at least as long as the work. */
  async use<R>(id: string, open: () => Promise<T>, work: (item: T) => Promise<R>, options: UseOptions<T>): Promise<R> {
    const { needs: needsOf, priority = 0, signal } = options;
    const needs = await needsOf(await (this.#entries.get(id) ?? this.#open(id, open)).item);
    const entry = await this.#room({ id, open, needs, priority }, signal);
    try {
      const result = await work(await entry.item);
      entry.settled.add(needs.parts ?? "");
      return result;
    } finally {
      entry.users.delete(needs);
      if (entry.unwanted) await this.unload(id);
      await this.#makeRoom(0);
      await this.#admit();
    }
  }

  /** Drops a model, or marks one that somebody works with to go afterwards. */
  async unload(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.unwanted = true;
    if (entry.users.size > 0) return;
    this.#entries.delete(id);
    await (await entry.item).dispose();
  }

  async dispose(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { item } of entries) await item.then((opened) => opened.dispose()).catch(() => {});
  }

  #open(id: string, open: () => Promise<T>): Entry<T> {
    const entry: Entry<T> = {
      item: open(),
      opened: undefined,
      users: new Set(),
      settled: new Set(),
      admitted: false,
      unwanted: false,
    };
    this.#entries.set(id, entry);
    entry.item.then(
      (item) => {
        entry.opened = item;
      },
      () => {
        if (this.#entries.get(id) === entry) this.#entries.delete(id); // whoever waits for it hears why; the next one tries again
      },
    );
    return entry;
  }

  /** Waits until there is room for the work, and counts it in. */
  async #room(wanted: Omit<Waiter<T>, "enter">, signal: AbortSignal | undefined): Promise<Entry<T>> {
    return await new Promise<Entry<T>>((resolve, reject) => {
      const leave = () => {
        const at = this.#waiting.indexOf(waiter);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        reject(new KilnError("cancelled", "The job was cancelled."));
        void this.#admit();
      };
      const waiter: Waiter<T> = {
        ...wanted,
        enter(entry) {
          signal?.removeEventListener("abort", leave);
          resolve(entry);
        },
      };
      const behind = this.#waiting.findIndex(({ priority }) => priority < waiter.priority);
      this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiter);
      signal?.addEventListener("abort", leave);
      if (signal?.aborted) leave();
      else void this.#admit();
    });
  }

  /** Lets in whom there is room for. One at a time makes room, because disposing takes a while. */
  async #admit(): Promise<void> {
    this.#admitting = (this.#admitting ?? Promise.resolve()).then(() => this.#admitWaiting());
    await this.#admitting;
  }

  async #admitWaiting(): Promise<void> {
    for (;;) {
      const [first] = this.#waiting;
      if (!first || !this.#fits(first)) return;
      await this.#makeRoom(this.#added(first), first.id);
      // Whoever waits for the same model comes along: to go back and forth between two would load each again and again.
      for (const waiter of this.#waiting.filter(({ id }) => id === first.id)) {
        if (!this.#fits(waiter)) continue;
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        this.#enter(waiter);
      }
    }
  }

  #enter({ id, open, needs, enter }: Waiter<T>): void {
    const entry = this.#entries.get(id) ?? this.#open(id, open);
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    entry.users.add(needs);
    entry.admitted = true;
    entry.unwanted = false;
    enter(entry);
  }

  /** Whether the work fits beside that with other models, when every idle one has gone. Without such it always does. */
  #fits({ id, needs }: Waiter<T>): boolean {
    const own = this.#entries.get(id);
    const others = [...this.#entries.values()].filter((entry) => entry !== own && entry.users.size > 0);
    return others.length === 0 || sumOf(others) + sizeWith(own, needs) <= this.#budget;
  }

  /** Bytes that come on top when this work begins. */
  #added({ id, needs }: Waiter<T>): number {
    const entry = this.#entries.get(id);
    return sizeWith(entry, needs) - sizeWith(entry);
  }

  async #makeRoom(toCome: number, except?: string): Promise<void> {
    for (const [id, entry] of this.#entries) {
      if (sumOf([...this.#entries.values()]) + toCome <= this.#budget) return;
      if (entry.users.size === 0 && id !== except && weightsOf(entry) > 0) await this.unload(id);
    }
  }
}

function sumOf<T extends Shelved>(entries: readonly Entry<T>[]): number {
  return entries.reduce((sum, entry) => sum + sizeWith(entry), 0);
}

function weightsOf<T extends Shelved>(entry: Entry<T> | undefined, users: readonly Needs[] = [...(entry?.users ?? [])]): number {
  const expected = users.map(({ weights, parts = "" }) => (entry?.settled.has(parts) ? 0 : weights));
  return Math.max(entry?.opened?.bytes ?? 0, ...expected);
}

/** Bytes of a model and of the work with it, also of work that is to come. */
function sizeWith<T extends Shelved>(entry: Entry<T> | undefined, toCome?: Needs): number {
  const users = [...(entry?.users ?? []), ...(toCome ? [toCome] : [])];
  return weightsOf(entry, users) + users.reduce((sum, { working }) => sum + working, 0);
}
