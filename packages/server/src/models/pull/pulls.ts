import { messageOf, ServiceError } from "../../errors.ts";
import { newId } from "../../jobs/ids.ts";
import type { Settings } from "../../settings/schema.ts";
import type { ModelInfo } from "../model.ts";
import { checkInto, type PullInto, type PullOptions, type PullProgress, pullModel } from "./pull.ts";
import { PullError } from "./pull-error.ts";
import { isInside, Receipts } from "./receipts.ts";
import { formatSource, type PullSource, parseSource } from "./source.ts";

export const PULL_STATUSES = ["waiting", "running", "completed", "failed", "cancelled"] as const;
export type PullStatus = (typeof PULL_STATUSES)[number];

export interface PullView {
  id: string;
  source: string;
  status: PullStatus;
  created_at: string;
  finished_at: string | undefined;
  /** The file that arrives now. */
  file: string | undefined;
  files_done: number;
  files_total: number;
  bytes_done: number;
  bytes_total: number;
  bytes_per_second: number | undefined;
  eta_seconds: number | undefined;
  /** The catalogue's ids of what has arrived. */
  models: string[];
  error: { code: string; message: string } | undefined;
}

/** Ended downloads that are still told of. */
const MAX_KEPT = 100;
/** Downloads that may wait for their turn. */
const MAX_WAITING = 100;
/** More news than this nobody reads. */
const NEWS_MILLISECONDS = 250;
/** The rate is that of the last so many seconds. */
const RATE_MILLISECONDS = 10_000;

export interface PullsOptions {
  settings: Settings;
  /** Looks again at what is installed, here and in other processes, and returns it. */
  refresh(): Promise<readonly ModelInfo[]>;
  log(message: string, details: object): void;
  /** For tests of what cannot be had on a healthy machine. */
  overrides?: Pick<PullOptions, "pauses" | "stallMilliseconds" | "freeBytes">;
}

interface Entry {
  view: PullView;
  source: PullSource;
  into: PullInto | undefined;
  abort: AbortController;
  listeners: Set<(view: PullView) => void>;
  samples: { at: number; bytes: number }[];
  toldAt: number;
}

/**
 * Downloads of this process, one after the other: two at once share one line and one disk. They are not jobs: after the
 * end of the process the same request goes on from the files that have arrived.
 */
export class Pulls {
  readonly #options: PullsOptions;
  readonly #entries = new Map<string, Entry>();
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: PullsOptions) {
    this.#options = options;
  }

  /** Starts a download, or names the one that fetches the same already. Raises ServiceError. */
  start(text: string, into?: PullInto): PullView {
    const source = readSource(text, into);
    const name = formatSource(source);
    const open = [...this.#entries.values()].filter(({ view }) => isOpen(view));
    const same = open.find((entry) => entry.view.source === name && entry.into === into);
    if (same) return same.view;
    if (open.length >= MAX_WAITING)
      throw new ServiceError("queue_full", `${MAX_WAITING} downloads wait already; try again later.`, { retryAfter: 60 });
    const entry: Entry = {
      view: { ...blank(newId("pull"), name), status: "waiting" },
      source,
      into,
      abort: new AbortController(),
      listeners: new Set(),
      samples: [],
      toldAt: 0,
    };
    this.#entries.set(entry.view.id, entry);
    this.#forgetOldest();
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return entry.view;
  }

  list(): PullView[] {
    return [...this.#entries.values()].map(({ view }) => view).reverse();
  }

  /** Raises `not_found`. */
  get(id: string): PullView {
    return this.#require(id).view;
  }

  /** Stops a download; what has arrived stays for the next one. One that has ended stays as it is. */
  cancel(id: string): PullView {
    const entry = this.#require(id);
    entry.abort.abort();
    if (entry.view.status === "waiting") this.#end(entry, { status: "cancelled" });
    return entry.view;
  }

  /** Calls the listener for each change. Returns what ends it. */
  follow(id: string, listener: (view: PullView) => void): () => void {
    const { listeners } = this.#require(id);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Removes the files of a model that was pulled. Raises ServiceError `conflict` for others. */
  async remove(model: ModelInfo): Promise<number> {
    try {
      const freed = await new Receipts(this.#options.settings.KILN_DATA_DIR).removeModel(model.id, model.path);
      await this.#options.refresh();
      return freed;
    } catch (error) {
      throw error instanceof PullError ? new ServiceError("conflict", error.message) : error;
    }
  }

  /** Ends what runs. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { abort } of this.#entries.values()) abort.abort();
    await this.#running;
  }

  async #work(): Promise<void> {
    for (;;) {
      const next = [...this.#entries.values()].find(({ view }) => view.status === "waiting");
      if (!next || this.#closed) return;
      await this.#run(next);
    }
  }

  async #run(entry: Entry): Promise<void> {
    const { settings, refresh, log, overrides } = this.#options;
    entry.view = { ...entry.view, status: "running" };
    try {
      const { root } = await pullModel(entry.source, {
        ...overrides,
        settings,
        into: entry.into,
        signal: entry.abort.signal,
        onProgress: (progress) => this.#note(entry, progress),
      });
      const models = (await refresh()).filter(({ path }) => isInside(path, root)).map(({ id }) => id);
      this.#end(entry, { status: "completed", models, files_done: entry.view.files_total });
    } catch (error) {
      const code = error instanceof PullError ? error.code : "internal";
      this.#end(entry, { status: code === "cancelled" ? "cancelled" : "failed", error: { code, message: messageOf(error) } });
    }
    const { id, source, status, bytes_done, error } = entry.view;
    log("a download has ended", { pull: id, source, status, bytes: bytes_done, ...(error ? { reason: error.message } : {}) });
  }

  #note(entry: Entry, { file, filesDone, filesTotal, bytesDone, bytesTotal }: PullProgress): void {
    const now = performance.now();
    entry.samples.push({ at: now, bytes: bytesDone });
    while (entry.samples.length > 2 && now - (entry.samples[0]?.at ?? now) > RATE_MILLISECONDS) entry.samples.shift();
    if (now - entry.toldAt < NEWS_MILLISECONDS && bytesDone < bytesTotal) return;
    entry.toldAt = now;
    const [first] = entry.samples;
    const seconds = first ? (now - first.at) / 1000 : 0;
    const rate = first && seconds > 0.2 ? Math.max(0, (bytesDone - first.bytes) / seconds) : undefined;
    this.#tell(entry, {
      file,
      files_done: filesDone,
      files_total: filesTotal,
      bytes_done: bytesDone,
      bytes_total: bytesTotal,
      bytes_per_second: rate === undefined ? undefined : Math.round(rate),
      eta_seconds: rate ? Math.round((bytesTotal - bytesDone) / rate) : undefined,
    });
  }

  #end(entry: Entry, change: Partial<PullView>): void {
    this.#tell(entry, { ...change, file: undefined, eta_seconds: undefined, finished_at: new Date().toISOString() });
  }

  #tell(entry: Entry, change: Partial<PullView>): void {
    entry.view = { ...entry.view, ...change };
    for (const listener of [...entry.listeners]) listener(entry.view);
  }

  #require(id: string): Entry {
    const entry = this.#entries.get(id);
    if (!entry) throw new ServiceError("not_found", `There is no download "${id.slice(0, 80)}" in this process.`);
    return entry;
  }

  #forgetOldest(): void {
    const ended = [...this.#entries.values()].filter(({ view }) => !isOpen(view));
    for (const { view } of ended.slice(0, Math.max(0, ended.length - MAX_KEPT))) this.#entries.delete(view.id);
  }
}

export function isOpen({ status }: PullView): boolean {
  return status === "waiting" || status === "running";
}

function readSource(text: string, into: PullInto | undefined): PullSource {
  try {
    const source = parseSource(text);
    checkInto(source, into);
    return source;
  } catch (error) {
    throw error instanceof PullError ? new ServiceError("invalid_request", error.message, { field: "source" }) : error;
  }
}

function blank(id: string, source: string): PullView {
  return {
    id,
    source,
    status: "waiting",
    created_at: new Date().toISOString(),
    finished_at: undefined,
    file: undefined,
    files_done: 0,
    files_total: 0,
    bytes_done: 0,
    bytes_total: 0,
    bytes_per_second: undefined,
    eta_seconds: undefined,
    models: [],
    error: undefined,
  };
}
