import { messages, type PGlite, protocol, types } from "@electric-sql/pglite";
import type { QueryResult } from "./pool.ts";
import { toParameter } from "./to-parameter.ts";

const { serialize } = protocol;

/** Statements that stay prepared. The service has some sixty; the others differ in how many rows they insert. */
const MOST_PREPARED = 128;
/** After these, wherever in a text, a prepared statement may have other columns, and PostgreSQL refuses to go on with it. */
const CHANGES_COLUMNS = /\b(?:ALTER|CREATE|DROP)\b/i;

interface Prepared {
  name: string;
  /** The result's columns; undefined until the statement has run, and where it returns no rows. */
  columns: messages.Field[] | undefined;
}

/**
 * Talks to the embedded database in PostgreSQL's wire protocol. A statement is prepared once, and each run is a single
 * message there and back: PGlite's own `query` asks five times and parses the text anew, which takes six times as long.
 * Statements must not overlap: whoever calls holds the turn.
 */
export class EmbeddedSession {
  readonly #db: PGlite;
  /** Least recently used first. */
  readonly #prepared = new Map<string, Prepared>();
  #names = 0;

  constructor(db: PGlite) {
    this.#db = db;
  }

  /** Runs a statement, or without parameters several of them, of which the last one's result counts. Raises PostgreSQL's error. */
  async query<Row>(text: string, parameters: readonly unknown[] = []): Promise<QueryResult<Row>> {
    if (parameters.length > 0) return await this.#runPrepared<Row>(text, parameters.map(toParameter));
    const result = this.#read<Row>(await this.#send([serialize.query(text)]), undefined);
    if (CHANGES_COLUMNS.test(text)) await this.#forgetAll();
    return result;
  }

  async #runPrepared<Row>(text: string, values: (string | null)[]): Promise<QueryResult<Row>> {
    const known = this.#prepared.get(text);
    const statement = known ?? { name: `kiln_${this.#names++}`, columns: undefined };
    const parts = known ? [] : [...this.#makeRoom(), serialize.parse({ name: statement.name, text })];
    parts.push(serialize.bind({ statement: statement.name, values }));
    if (!known) parts.push(serialize.describe({ type: "P" }));
    parts.push(serialize.execute(), serialize.sync());
    // It counts as known before it has run: what fails to parse is closed again below.
    this.#prepared.delete(text);
    this.#prepared.set(text, statement);
    try {
      const answer = await this.#send(parts);
      statement.columns ??= columnsOf(answer);
      return this.#read<Row>(answer, statement.columns);
    } catch (error) {
      this.#prepared.delete(text);
      // A database that cannot even do this has said why above.
      await this.#send([serialize.close({ type: "S", name: statement.name }), serialize.sync()]).catch(() => {});
      throw error;
    }
  }

  #makeRoom(): Uint8Array[] {
    const [oldest] = this.#prepared;
    if (oldest === undefined || this.#prepared.size < MOST_PREPARED) return [];
    this.#prepared.delete(oldest[0]);
    return [serialize.close({ type: "S", name: oldest[1].name })];
  }

  async #forgetAll(): Promise<void> {
    if (this.#prepared.size === 0) return;
    const closing = [...this.#prepared.values()].map(({ name }) => serialize.close({ type: "S", name }));
    this.#prepared.clear();
    await this.#send([...closing, serialize.sync()]);
  }

  /** The last statement's rows and its command's tag. */
  #read<Row>(answer: Answer, known: messages.Field[] | undefined): QueryResult<Row> {
    let columns = known ?? [];
    let rows: Record<string, unknown>[] = [];
    let result: QueryResult<Row> = { rows: [], rowCount: 0, command: "" };
    for (const message of answer) {
      if (message instanceof messages.RowDescriptionMessage) columns = message.fields;
      else if (message instanceof messages.DataRowMessage) rows.push(this.#rowOf(message.fields, columns));
      else if (message instanceof messages.CommandCompleteMessage) {
        result = { rows: rows as Row[], ...tagOf(message.text) };
        rows = [];
      }
    }
    return result;
  }

  #rowOf(fields: readonly (string | null)[], columns: readonly messages.Field[]): Record<string, unknown> {
    const row: Record<string, unknown> = {};
    for (const [index, { name, dataTypeID }] of columns.entries())
      row[name] = types.parseType(fields[index] ?? null, dataTypeID, this.#db.parsers);
    return row;
  }

  async #send(parts: readonly Uint8Array[]): Promise<Answer> {
    // What PGlite would sync are file systems in a browser; on a disk it has been written when the statement returns.
    return await this.#db.execProtocolStream(Buffer.concat(parts), { syncToFs: false });
  }
}

type Answer = Awaited<ReturnType<PGlite["execProtocolStream"]>>;

function columnsOf(answer: Answer): messages.Field[] | undefined {
  return answer.find((message) => message instanceof messages.RowDescriptionMessage)?.fields;
}

/** PostgreSQL 54.7, CommandComplete: `UPDATE 3`, `INSERT 0 3`, `BEGIN`. */
function tagOf(tag: string): { command: string; rowCount: number } {
  const words = tag.split(" ");
  return { command: words[0] ?? "", rowCount: Number(words.at(-1)) || 0 };
}
