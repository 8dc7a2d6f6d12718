import { z } from "zod";
import { codeOf, ServiceError } from "../errors.ts";
import { openDatabase } from "../records/database.ts";
import { callAt, runningService } from "../service-client.ts";
import type { Settings } from "../settings/schema.ts";
import { type KeyOptions, Keys, type KeyView } from "./keys.ts";
import { KeysMarker } from "./keys-marker.ts";

/** Keys as the command line manages them: through the database, or through the service that holds it. */
export interface KeyAdmin {
  /** Without a role the first key is an admin's, because from then on every caller needs one, and all others a user's. */
  create(options: KeyOptions): Promise<{ key: string; view: KeyView }>;
  list(): Promise<KeyView[]>;
  /** Raises `not_found`. */
  revoke(id: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the keys of an installation. The embedded database belongs to one process: while the service runs, its own API
 * is asked.
 * @param apiKey an admin's key, for a service that needs one
 */
export async function openKeyAdmin(settings: Settings, apiKey: string | undefined): Promise<KeyAdmin> {
  try {
    const database = await openDatabase({ url: settings.DATABASE_URL, dataDir: settings.KILN_DATA_DIR });
    const keys = new Keys(database.records, KeysMarker.of(settings));
    return {
      create: async (options) => await createIn(keys, options),
      list: async () => await keys.list(),
      revoke: async (id) => await keys.revoke(id),
      close: async () => await database.close(),
    };
  } catch (error) {
    if (settings.DATABASE_URL !== undefined || codeOf(error) !== "unavailable") throw error;
    return overHttp(await runningService(settings, error), apiKey);
  }
}

async function createIn(keys: Keys, options: KeyOptions): Promise<{ key: string; view: KeyView }> {
  const first = !(await keys.any());
  const role = options.role ?? (first ? "admin" : "user");
  if (first && role !== "admin")
    throw new ServiceError("conflict", 'The first key must have the role "admin": from then on every caller needs a key.', {
      field: "role",
    });
  return await keys.create({ ...options, role });
}

const viewSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(["admin", "user"]),
  rate_per_minute: z.number().nullable(),
  quota_pictures_per_day: z.number().nullable(),
  quota_megapixel_steps_per_day: z.number().nullable(),
  content_ceiling: z.number().nullable(),
  created_at: z.string(),
});

function overHttp(url: string, apiKey: string | undefined): KeyAdmin {
  const call = async (method: string, path: string, body?: object) => await callAt(url, apiKey, method, path, body);
  return {
    async create(options) {
      const role = options.role ?? ((await this.list()).length === 0 ? "admin" : "user");
      const made = await call("POST", "/v1/keys", {
        name: options.name,
        role,
        rate_per_minute: options.ratePerMinute,
        quota_pictures_per_day: options.quotaPicturesPerDay,
        quota_megapixel_steps_per_day: options.quotaMegapixelStepsPerDay,
        content_ceiling: options.contentCeiling,
      });
      const { key, ...view } = viewSchema.extend({ key: z.string() }).parse(made);
      return { key, view };
    },
    async list() {
      return z.object({ data: z.array(viewSchema) }).parse(await call("GET", "/v1/keys")).data;
    },
    async revoke(id) {
      await call("DELETE", `/v1/keys/${encodeURIComponent(id)}`);
    },
    async close() {},
  };
}
