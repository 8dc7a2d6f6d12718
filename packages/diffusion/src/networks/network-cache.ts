import type { Backend, CompiledGraph } from "../backends/backend.ts";
import type { Graph } from "../graph/graph.ts";
import { residentBytesOf } from "./resident-bytes.ts";
import { isHeldBy, WeightAccount } from "./weight-account.ts";

/**
 * Compiled networks by name, within a budget of memory. Each is compiled when it is first asked for; when the budget is
 * exceeded, the least recently used one that is idle goes. One network larger than the whole budget still runs, alone.
 */
export class NetworkCache {
  readonly backend: Backend;
  readonly #budgetBytes: number;
  /** In order of use, least recent first. */
  readonly #entries = new Map<string, Entry>();
  readonly #account = new WeightAccount();

  /** @param budgetBytes memory for weights; Infinity keeps everything. */
  constructor(backend: Backend, budgetBytes = Number.POSITIVE_INFINITY) {
    this.backend = backend;
    this.#budgetBytes = budgetBytes;
  }

  /** Runs `work` with the network of this key; it is not evicted meanwhile. */
  async use<T>(key: string, build: () => Graph, work: (network: CompiledGraph) => Promise<T>): Promise<T> {
    const entry = this.#entries.get(key) ?? this.#start(build());
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    try {
      const network = await entry.network;
      await this.#evict(key);
      return await work(network);
    } catch (error) {
      if (!entry.compiled) this.#entries.delete(key); // it never compiled: the next caller tries again
      throw error;
    } finally {
      entry.users--;
    }
  }

  /**
   * Begins to compile a network that will be asked for soon, where it fits beside what is there: backends compile beside the
   * event loop, so it is ready sooner. What goes wrong is said to whoever asks for it.
   */
  prepare(key: string, build: () => Graph): void {
    if (this.#entries.has(key)) return;
    const graph = build();
    const toCome = [...this.#entries.values()].reduce((sum, entry) => sum + (entry.compiled ? 0 : entry.expected), 0);
    if (this.bytes + toCome + residentBytesOf(graph, this.backend) > this.#budgetBytes) return;
    const entry = this.#start(graph);
    this.#entries.set(key, entry);
    entry.network.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    });
  }

  /** Weights in memory now, in bytes. */
  get bytes(): number {
    return this.#account.bytes;
  }

  /** Frees every network. Nothing may be in use. */
  async dispose(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries) {
      const network = await entry.network.catch(() => undefined); // what never compiled holds nothing
      if (!network) continue;
      this.#account.remove(network);
      await network.dispose();
    }
  }

  #start(graph: Graph): Entry {
    const expected = residentBytesOf(graph, this.backend);
    const entry: Entry = { network: this.#compile(graph, expected), users: 0, expected, compiled: undefined };
    entry.network.then(
      (network) => {
        entry.compiled = network;
        this.#account.add(network);
      },
      () => undefined, // the caller that awaits it hears of it
    );
    return entry;
  }

  /** Room is made first: compiling takes the most memory of all. */
  async #compile(graph: Graph, expected: number): Promise<CompiledGraph> {
    await this.#evict(undefined, expected);
    return this.backend.compile(graph);
  }

  #inUse(): readonly CompiledGraph[] {
    return [...this.#entries.values()].flatMap(({ compiled, users }) => (compiled && users > 0 ? [compiled] : []));
  }

  /** @param toCome bytes that must fit beside what is there. */
  async #evict(justUsed: string | undefined, toCome = 0): Promise<void> {
    for (const [key, entry] of this.#entries) {
      if (this.bytes + toCome <= this.#budgetBytes) return;
      const { compiled, users } = entry;
      if (key === justUsed || users > 0 || !compiled || isHeldBy(this.#inUse(), compiled)) continue;
      this.#entries.delete(key);
      this.#account.remove(compiled);
      await compiled.dispose();
    }
  }
}

interface Entry {
  readonly network: Promise<CompiledGraph>;
  users: number;
  /** Bytes that it will take. */
  readonly expected: number;
  compiled: CompiledGraph | undefined;
}
