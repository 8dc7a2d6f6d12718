import { join } from "node:path";
import type { Settings } from "../settings/schema.ts";
import { openLocalStorage } from "./local-storage.ts";
import type { Storage } from "./storage.ts";

/** The storage that the settings choose. */
export async function openStorage(settings: Settings): Promise<Storage> {
  return await openLocalStorage(join(settings.KILN_DATA_DIR, "pictures"));
}
