import type { Database } from "../records/database.ts";
import type { Settings } from "../settings/schema.ts";
import { type EventBus, LocalBus } from "./bus.ts";
import { openPostgresBus } from "./postgres-bus.ts";
import { openRedisBus } from "./redis-bus.ts";

/** The bus that reaches every process of this installation: the embedded database has only this one. */
export async function openBus(settings: Settings, database: Database, onError: (error: Error) => void): Promise<EventBus> {
  if (database.kind === "embedded") return new LocalBus();
  if (settings.REDIS_URL !== undefined) return await openRedisBus(settings.REDIS_URL, onError);
  return await openPostgresBus(database.queuePool, onError);
}
