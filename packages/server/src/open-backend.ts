import { databaseBackend, type QueueBackend, redisBackend } from "./queue/backend.ts";
import type { Database } from "./records/database.ts";
import type { Settings } from "./settings/schema.ts";

/** The queue where the settings want it. */
export async function openBackend(settings: Settings, database: Database): Promise<QueueBackend> {
  const kind = settings.KILN_QUEUE ?? (settings.REDIS_URL ? "redis" : database.kind);
  if (kind !== "redis") return await databaseBackend(database.kind, database.queuePool);
  if (!settings.REDIS_URL) throw new Error("KILN_QUEUE=redis needs REDIS_URL.");
  return redisBackend(settings.REDIS_URL);
}
