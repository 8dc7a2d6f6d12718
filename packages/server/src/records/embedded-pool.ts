import { EventEmitter } from "node:events";
import { PGlite } from "@electric-sql/pglite";
import { EmbeddedSession } from "./embedded-session.ts";
import type { PoolClientFace, PoolFace, QueryResult } from "./pool.ts";
import { Turns } from "./turns.ts";

/**
 * PostgreSQL's page cache. The default of 128 MB is set to zero at the start and stays in this process's memory; the
 * system's own cache of the same files is as near, because nothing lies between.
 */
const SHARED_BUFFERS = "16MB";
/** Memory of WebAssembly never shrinks: what vacuuming and analysing once took is taken for good, so they make do with less. */
const MODEST = ["maintenance_work_mem=8MB", "default_statistics_target=10"];

/**
 * PGlite with the face of `pg.Pool`. PGlite is one session, so a transaction holds the turn from its BEGIN to its
 * end and everybody else waits; LISTEN is mapped to PGlite's own, because a client here is no connection.
 */
export class EmbeddedPool extends EventEmitter implements PoolFace {
  readonly #db: PGlite;
  readonly #session: EmbeddedSession;
  readonly #turns = new Turns();
  #ended = false;

  private constructor(db: PGlite) {
    super();
    this.#db = db;
    this.#session = new EmbeddedSession(db);
  }

  /** Opens the database in a folder. The caller holds the folder's lock. */
  static async open(folder: string): Promise<EmbeddedPool> {
    const changes = [`shared_buffers=${SHARED_BUFFERS}`, ...MODEST].flatMap((change) => ["-c", change]);
    const startParams = [...PGlite.defaultStartParams, ...changes];
    const db = await PGlite.create({ dataDir: folder, startParams });
    // BullMQ takes a ready-made pool as it is and expects its schema on the path.
    await db.exec("SET search_path TO bullmq, public");
    return new EmbeddedPool(db);
  }

  async query<Row>(text: string, parameters?: readonly unknown[]): Promise<QueryResult<Row>> {
    return await this.#turns.run(() => this.run<Row>(text, parameters));
  }

  async connect(): Promise<PoolClientFace> {
    return new EmbeddedClient(this, this.#turns);
  }

  /** Runs a statement at once. Only for whoever holds the turn. */
  async run<Row>(text: string, parameters: readonly unknown[] | undefined): Promise<QueryResult<Row>> {
    if (this.#ended) throw new Error("The embedded database is closed.");
    return await this.#session.query<Row>(text, parameters);
  }

  async listen(channel: string, onPayload: (payload: string) => void): Promise<() => Promise<void>> {
    return await this.#turns.run(() => this.#db.listen(channel, onPayload));
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    await this.#turns.run(async () => {
      this.#ended = true;
      await this.#db.close();
    });
  }
}

class EmbeddedClient extends EventEmitter implements PoolClientFace {
  readonly #pool: EmbeddedPool;
  readonly #turns: Turns;
  readonly #listening = new Map<string, () => Promise<void>>();
  #endTurn: (() => void) | undefined;

  constructor(pool: EmbeddedPool, turns: Turns) {
    super();
    this.#pool = pool;
    this.#turns = turns;
  }

  async query<Row>(text: string, parameters?: readonly unknown[]): Promise<QueryResult<Row>> {
    const statement = firstWords(text);
    const [verb = "", subject = ""] = statement;
    if (verb === "LISTEN") return await this.#listen(subject);
    if (verb === "UNLISTEN") return await this.#unlisten(subject);
    if ((verb === "BEGIN" || verb === "START") && !this.#endTurn) this.#endTurn = await this.#turns.take();
    if (!this.#endTurn) return await this.#pool.query<Row>(text, parameters);
    try {
      return await this.#pool.run<Row>(text, parameters);
    } finally {
      if (verb === "COMMIT" || verb === "ROLLBACK" || verb === "END") this.#finishTurn(subject);
    }
  }

  release(): void {
    for (const stop of this.#listening.values()) void stop().catch(() => {});
    this.#listening.clear();
    if (!this.#endTurn) return;
    // A client that is released inside a transaction has lost it; the session must not keep it open.
    const end = this.#endTurn;
    this.#endTurn = undefined;
    void this.#pool
      .run("ROLLBACK", undefined)
      .catch(() => {})
      .finally(end);
  }

  #finishTurn(subject: string): void {
    if (subject === "TO") return; // ROLLBACK TO SAVEPOINT stays inside
    this.#endTurn?.();
    this.#endTurn = undefined;
  }

  async #listen(channel: string): Promise<QueryResult<never>> {
    if (!this.#listening.has(channel)) {
      const stop = await this.#pool.listen(channel, (payload) => this.emit("notification", { channel, payload }));
      this.#listening.set(channel, stop);
    }
    return { rows: [], rowCount: 0, command: "LISTEN" };
  }

  async #unlisten(channel: string): Promise<QueryResult<never>> {
    const stops = channel === "*" ? [...this.#listening.keys()] : [channel];
    for (const name of stops) {
      await this.#listening.get(name)?.();
      this.#listening.delete(name);
    }
    return { rows: [], rowCount: 0, command: "UNLISTEN" };
  }
}

/** The first two words of a statement, without comments before it, quotes and the semicolon. */
function firstWords(text: string): string[] {
  const statement = text.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, "");
  const words = statement.slice(0, 200).match(/[^\s;]+/g) ?? [];
  const verb = (words[0] ?? "").toUpperCase();
  const subject = (words[1] ?? "").replaceAll('"', "");
  return [verb, verb === "LISTEN" || verb === "UNLISTEN" ? subject : subject.toUpperCase()];
}
