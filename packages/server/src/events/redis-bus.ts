import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { type BusEvent, type EventBus, LocalBus } from "./bus.ts";

const CHANNEL = "kiln:events";

/** Events to every process over Redis's publish and subscribe; to this one directly. */
export async function openRedisBus(url: string, onError: (error: Error) => void): Promise<EventBus> {
  const local = new LocalBus();
  const self = randomUUID();
  const options = { maxRetriesPerRequest: null, lazyConnect: true } as const;
  const [publisher, subscriber] = [new Redis(url, options), new Redis(url, options)];
  for (const connection of [publisher, subscriber]) connection.on("error", onError);
  await Promise.all([publisher.connect(), subscriber.connect()]);
  subscriber.on("message", (_channel, text) => {
    const { from, event } = JSON.parse(text) as { from: string; event: BusEvent };
    if (from !== self) local.publish(event);
  });
  await subscriber.subscribe(CHANNEL);
  return {
    publish(event) {
      local.publish(event);
      // News while Redis is away is lost, not kept: it would be old by then.
      if (publisher.status === "ready") publisher.publish(CHANNEL, JSON.stringify({ from: self, event })).catch(onError);
    },
    subscribe: (listener) => local.subscribe(listener),
    async close() {
      await local.close();
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}
