import { createHash, randomBytes } from "node:crypto";
import type { Kysely } from "kysely";
import { ServiceError } from "../errors.ts";
import { newId } from "../jobs/ids.ts";
import type { RecordsSchema } from "../records/schema.ts";
import type { Caller } from "./caller.ts";
import type { KeysMarker } from "./keys-marker.ts";

export interface KeyOptions {
  name: string;
  role?: "admin" | "user" | undefined;
  ratePerMinute?: number | undefined;
  quotaPicturesPerDay?: number | undefined;
  quotaMegapixelStepsPerDay?: number | undefined;
  contentCeiling?: number | undefined;
}

export interface KeyView {
  id: string;
  name: string;
  role: "admin" | "user";
  rate_per_minute: number | null;
  quota_pictures_per_day: number | null;
  quota_megapixel_steps_per_day: number | null;
  content_ceiling: number | null;
  created_at: string;
}

interface KnownKey {
  hash: string;
  view: KeyView;
}

/** How long a key that another process revoked may go unnoticed. */
const CACHE_MILLISECONDS = 5000;
/** How long one that another process made may: whoever guesses keys causes so many looks at the records and no more. */
const UNKNOWN_MILLISECONDS = 100;

/**
 * API keys. A key is 256 random bits, so one round of SHA-256 is enough at rest: there is no dictionary to try.
 * Looking a key up by its hash also leaks nothing through time.
 */
export class Keys {
  readonly #db: Kysely<RecordsSchema>;
  readonly #marker: KeysMarker | undefined;
  #known: Map<string, KnownKey> = new Map();
  /** When the look at the records began that told what is known. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(db: Kysely<RecordsSchema>, marker: KeysMarker | undefined) {
    this.#db = db;
    this.#marker = marker;
  }

  /** Makes a key; the secret is shown this once. */
  async create(options: KeyOptions): Promise<{ key: string; view: KeyView }> {
    const key = `kiln_${randomBytes(32).toString("base64url")}`;
    const row = {
      id: newId("key"),
      name: options.name,
      hash: hashOf(key),
      role: options.role ?? ("user" as const),
      rate_per_minute: options.ratePerMinute ?? null,
      quota_pictures_per_day: options.quotaPicturesPerDay ?? null,
      quota_megapixel_steps_per_day: options.quotaMegapixelStepsPerDay ?? null,
      content_ceiling: options.contentCeiling ?? null,
    };
    this.#marker?.set(true);
    const inserted = await this.#db.insertInto("keys").values(row).returning("created_at").executeTakeFirstOrThrow();
    await this.#lookSince(performance.now());
    const { hash: _, ...view } = row;
    return { key, view: { ...view, created_at: inserted.created_at.toISOString() } };
  }

  async list(): Promise<KeyView[]> {
    await this.#lookSince(performance.now());
    return [...this.#known.values()].map(({ view }) => view);
  }

  /** Raises `not_found`. */
  async revoke(id: string): Promise<void> {
    const result = await this.#db
      .updateTable("keys")
      .set({ revoked_at: new Date() })
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .executeTakeFirst();
    await this.#lookSince(performance.now());
    if (result.numUpdatedRows === 0n) throw new ServiceError("not_found", `There is no key "${id.slice(0, 80)}".`);
  }

  /** Whether a key has been created, so that one is needed from now on. */
  async any(): Promise<boolean> {
    await this.#lookSince(performance.now() - CACHE_MILLISECONDS);
    return this.#known.size > 0;
  }

  /** Whoever holds the key, or undefined. */
  async verify(key: string): Promise<Caller | undefined> {
    const hash = hashOf(key);
    await this.#lookSince(performance.now() - CACHE_MILLISECONDS);
    if (!this.#known.has(hash) && key.startsWith("kiln_")) await this.#lookSince(performance.now() - UNKNOWN_MILLISECONDS);
    const view = this.#known.get(hash)?.view;
    if (!view) return undefined;
    return {
      owner: view.id,
      role: view.role,
      ratePerMinute: view.rate_per_minute ?? undefined,
      quotaPicturesPerDay: view.quota_pictures_per_day ?? undefined,
      quotaMegapixelStepsPerDay: view.quota_megapixel_steps_per_day ?? undefined,
      contentCeiling: view.content_ceiling ?? undefined,
    };
  }

  /** Waits until what is known is from then or later; a look that began before and still goes on is none of then. */
  async #lookSince(moment: number): Promise<void> {
    while (this.#lookedAt < moment) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    }
  }

  async #look(): Promise<void> {
    const beganAt = performance.now();
    const rows = await this.#db.selectFrom("keys").selectAll().where("revoked_at", "is", null).orderBy("created_at").execute();
    this.#known = new Map(
      rows.map(({ hash, revoked_at: _, created_at, ...row }) => [
        hash,
        { hash, view: { ...row, created_at: created_at.toISOString() } },
      ]),
    );
    this.#marker?.set(this.#known.size > 0);
    this.#lookedAt = beganAt;
  }
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
