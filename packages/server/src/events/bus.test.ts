import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../records/database.ts";
import { startPostgres, startRedis } from "../testing/servers.ts";
import type { BusEvent, EventBus } from "./bus.ts";
import { openPostgresBus } from "./postgres-bus.ts";
import { openRedisBus } from "./redis-bus.ts";

interface Pair {
  one: EventBus;
  other: EventBus;
  close(): Promise<void>;
}

async function overRedis(): Promise<Pair | undefined> {
  const server = await startRedis();
  if (!server) return undefined;
  const open = () => openRedisBus(server.url, () => {});
  return { one: await open(), other: await open(), close: () => server.stop() };
}

async function overPostgres(): Promise<Pair | undefined> {
  const server = await startPostgres();
  if (!server) return undefined;
  const databases = [await openDatabase({ url: server.url, dataDir: "" }), await openDatabase({ url: server.url, dataDir: "" })];
  const [one, other] = await Promise.all(databases.map((database) => openPostgresBus(database.queuePool, () => {})));
  if (!one || !other) return undefined;
  return {
    one,
    other,
    async close() {
      for (const database of databases) await database.close();
      await server.stop();
    },
  };
}

describe.each([
  ["Redis", overRedis],
  ["PostgreSQL", overPostgres],
])("events over %s", (name, start) => {
  let pair: Pair | undefined;
  beforeAll(async () => {
    pair = await start();
  });
  afterAll(async () => {
    await pair?.one.close();
    await pair?.other.close();
    await pair?.close();
  });
  beforeEach(({ skip }) => {
    if (!pair) skip(`${name} is not installed here`);
  });

  test("reach both sides once, also when they are long", async () => {
    const seen: Record<"one" | "other", BusEvent[]> = { one: [], other: [] };
    pair?.one.subscribe((event) => seen.one.push(event));
    pair?.other.subscribe((event) => seen.other.push(event));
    const events: BusEvent[] = [
      { type: "preview", job: "a", owner: "o", index: 0, image: `data:image/webp;base64,${"x".repeat(50_000)}ü` },
      { type: "job", job: "a", owner: "o" },
    ];
    for (const event of events) pair?.one.publish(event);
    while (seen.other.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen.one).toEqual(events);
    expect([...seen.other].sort((a, b) => a.type.length - b.type.length)).toEqual([events[1], events[0]]);
  });
});
