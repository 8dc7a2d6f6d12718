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
  const local = new LocalBus();
  const self = randomUUID();
  const unfinished = new Map<string, string[]>();
  let client: PoolClientFace | undefined;
  let closed = false;

  function receive(payload: string): void {
    const part = JSON.parse(payload) as Part;
    if (part.from === self) return;
    const texts = unfinished.get(part.id) ?? [];
    texts[part.index] = part.text;
    if (texts.filter((text) => text !== undefined).length < part.of) {
      const [oldest] = unfinished.keys();
      if (unfinished.size > MAX_UNFINISHED && oldest !== undefined) unfinished.delete(oldest);
      unfinished.set(part.id, texts);
      return;
    }
    unfinished.delete(part.id);
    local.publish(JSON.parse(Buffer.from(texts.join(""), "base64").toString("utf8")) as BusEvent);
  }

  async function listen(): Promise<void> {
    const listening = await pool.connect();
    client = listening;
    listening.on("notification", ({ channel, payload }) => {
      if (channel === CHANNEL && payload) receive(payload);
    });
    listening.on("error", (error) => {
      onError(error);
      listening.release(true);
      if (client === listening) client = undefined;
      again();
    });
    await listening.query(`LISTEN ${CHANNEL}`);
  }

  function again(): void {
    const timer = setTimeout(() => {
      if (!closed) {
        listen().catch((error: Error) => {
          onError(error);
          again();
        });
      }
    }, RECONNECT_MILLISECONDS);
    timer.unref();
  }

  await listen();
  return {
    publish(event) {
      local.publish(event);
      const text = Buffer.from(JSON.stringify(event)).toString("base64");
      const id = randomUUID();
      const of = Math.ceil(text.length / PART_CHARACTERS);
      for (let index = 0; index < of; index++) {
        const part: Part = {
          from: self,
          id,
          index,
          of,
          text: text.slice(index * PART_CHARACTERS, (index + 1) * PART_CHARACTERS),
        };
        pool.query("SELECT pg_notify($1, $2)", [CHANNEL, JSON.stringify(part)]).catch(onError);
      }
    },
    subscribe: (listener) => local.subscribe(listener),
    async close() {
      closed = true;
      await local.close();
      client?.removeAllListeners();
      client?.on("error", () => {});
      client?.release(true);
    },
  };
}
