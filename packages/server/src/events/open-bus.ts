import type { Database } from "../records/database.ts";
import type { Settings } from "../settings/schema.ts";
import { type EventBus, LocalBus } from "./bus.ts";

/** The bus that reaches every process of this installation. */
export async function openBus(_settings: Settings, _database: Database, _onError: (error: Error) => void): Promise<EventBus> {
  return new LocalBus();
}
