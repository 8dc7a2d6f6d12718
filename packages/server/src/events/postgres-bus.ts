import { randomUUID } from "node:crypto";
import type { PoolClientFace, PoolFace } from "../records/pool.ts";
import { type BusEvent, type EventBus, LocalBus } from "./bus.ts";

const CHANNEL = "kiln_events";
/** A notification holds 8000 bytes; base64 and JSON of ASCII are one byte a character. */
const PART_CHARACTERS = 7000;
/** Parts of an event whose last part never came. */
const MAX_UNFINISHED = 1000;
const RECONNECT_MILLISECONDS = 1000;

interface Part {
  from: string;
  id: string;
  index: number;
  of: number;
  text: string;
}

/** Events to every process over NOTIFY, in parts where they are long; to this one directly. */
export async function openPostgresBus(pool: PoolFace, onError: (error: Error) => void): Promise<EventBus> {
  const bus = new PostgresBus(pool, onError);
  await bus.listen();
  return bus;
}

class PostgresBus implements EventBus {
  readonly #pool: PoolFace;
  readonly #onError: (error: Error) => void;
  readonly #local = new LocalBus();
  /** This process, whose own notifications come back to it. */
  readonly #self = randomUUID();
  readonly #unfinished = new Map<string, string[]>();
  #client: PoolClientFace | undefined;
  #closed = false;

  constructor(pool: PoolFace, onError: (error: Error) => void) {
    this.#pool = pool;
    this.#onError = onError;
  }

  /** Listens on a connection of its own, and on another one when that is lost. Rejects when none can be had. */
  async listen(): Promise<void> {
    const client = await this.#pool.connect();
    this.#client = client;
    // A connection that goes while it is asked for something says so twice.
    let lost = false;
    const lose = (error: Error) => {
      if (lost) return;
      lost = true;
      this.#onError(error);
      client.release(true);
      if (this.#client === client) this.#client = undefined;
      this.#listenLater();
    };
    client.on("error", lose);
    client.on("notification", ({ channel, payload }) => {
      if (channel === CHANNEL && payload) this.#receive(payload);
    });
    await client.query(`LISTEN ${CHANNEL}`).catch(lose);
  }

  publish(event: BusEvent): void {
    this.#local.publish(event);
    const text = Buffer.from(JSON.stringify(event)).toString("base64");
    const id = randomUUID();
    const of = Math.ceil(text.length / PART_CHARACTERS);
    for (let index = 0; index < of; index++) {
      const start = index * PART_CHARACTERS;
      const part: Part = { from: this.#self, id, index, of, text: text.slice(start, start + PART_CHARACTERS) };
      this.#pool.query("SELECT pg_notify($1, $2)", [CHANNEL, JSON.stringify(part)]).catch(this.#onError);
    }
  }

  subscribe(listener: (event: BusEvent) => void): () => void {
    return this.#local.subscribe(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#local.close();
    this.#client?.removeAllListeners();
    this.#client?.on("error", () => {});
    this.#client?.release(true);
  }

  #receive(payload: string): void {
    const part = JSON.parse(payload) as Part;
    if (part.from === this.#self) return;
    const texts = this.#unfinished.get(part.id) ?? [];
    texts[part.index] = part.text;
    if (texts.filter((text) => text !== undefined).length < part.of) {
      const [oldest] = this.#unfinished.keys();
      if (this.#unfinished.size > MAX_UNFINISHED && oldest !== undefined) this.#unfinished.delete(oldest);
      this.#unfinished.set(part.id, texts);
      return;
    }
    this.#unfinished.delete(part.id);
    this.#local.publish(JSON.parse(Buffer.from(texts.join(""), "base64").toString("utf8")) as BusEvent);
  }

  #listenLater(): void {
    const timer = setTimeout(() => {
      if (this.#closed) return;
      this.listen().catch((error: Error) => {
        this.#onError(error);
        this.#listenLater();
      });
    }, RECONNECT_MILLISECONDS);
    timer.unref();
  }
}
