import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, Migrator, PostgresDialect, sql } from "kysely";
import type pg from "pg";
import { codeOf } from "../errors.ts";
import { EmbeddedPool } from "./embedded-pool.ts";
import { type FolderLock, lockFolder } from "./folder-lock.ts";
import { MIGRATIONS } from "./migrations.ts";
import type { PoolFace } from "./pool.ts";
import type { RecordsSchema } from "./schema.ts";
import { vacuumWorn } from "./vacuum.ts";

export interface Database {
  kind: "embedded" | "postgres";
  /** The typed query builder over the records' tables. */
  records: Kysely<RecordsSchema>;
  /** For BullMQ: a pool whose search path starts with its schema. */
  queuePool: PoolFace;
  /** Does what the database does not do by itself; to be called every minute or so. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

/** Connections for queries; the queue's waiting connections come on top. */
const POOL_SIZE = 10;

/** Opens the embedded database under the data folder, or PostgreSQL where an address is given, and brings its tables up to date. */
export async function openDatabase(options: { url?: string | undefined; dataDir: string }): Promise<Database> {
  const database = options.url ? await openPostgres(options.url) : await openEmbedded(join(options.dataDir, "database"));
  try {
    await untilStarted(database.records);
    await migrate(database.records);
  } catch (error) {
    await database.close().catch(() => {});
    throw error;
  }
  return database;
}

async function openEmbedded(folder: string): Promise<Database> {
  const lock: FolderLock = await lockFolder(folder);
  let pool: EmbeddedPool;
  try {
    pool = await EmbeddedPool.open(join(folder, "pglite"));
  } catch (error) {
    lock.release();
    throw error;
  }
  const records = recordsOver(pool);
  return {
    kind: "embedded",
    records,
    queuePool: pool,
    async tidy() {
      await vacuumWorn(pool);
    },
    async close() {
      await pool.end();
      lock.release();
    },
  };
}

async function openPostgres(url: string): Promise<Database> {
  const { default: pg } = await import("pg"); // the embedded database does without
  // A connection that the server drops is replaced at the next query. Without listeners the process would die of it: the
  // pool's is for idle connections, the client's for those that are lent out and wait for nothing, such as listening ones.
  const watch = (pool: pg.Pool) => pool.on("error", () => {}).on("connect", (client) => client.on("error", () => {}));
  const pool = watch(new pg.Pool({ connectionString: url, max: POOL_SIZE, keepAlive: true, connectionTimeoutMillis: 10_000 }));
  const queuePool = watch(
    new pg.Pool({
      connectionString: url,
      max: POOL_SIZE,
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
      options: "-c search_path=bullmq,public",
    }),
  );
  return {
    kind: "postgres",
    records: recordsOver(pool),
    queuePool: queuePool as unknown as PoolFace,
    async tidy() {},
    async close() {
      await Promise.all([pool.end(), queuePool.end()]);
    },
  };
}

function recordsOver(pool: unknown): Kysely<RecordsSchema> {
  return new Kysely<RecordsSchema>({ dialect: new PostgresDialect({ pool: pool as pg.Pool }) }).withSchema("kiln");
}

/** PostgreSQL's code for "the database system is starting up": after a crash it reads its log first. */
const STARTING = "57P03";
const STARTING_PAUSE_MILLISECONDS = 250;
/** Recovery that takes longer is worth a look by the operator, who sees the error then. */
const STARTING_SECONDS = 60;

/** Waits for a server that says that it is starting; what is not there at all is an error at once. */
async function untilStarted(records: Kysely<RecordsSchema>): Promise<void> {
  const giveUp = performance.now() + STARTING_SECONDS * 1000;
  for (;;) {
    try {
      await sql`SELECT 1`.execute(records);
      return;
    } catch (error) {
      if (codeOf(error) !== STARTING || performance.now() > giveUp) throw error;
      await sleep(STARTING_PAUSE_MILLISECONDS);
    }
  }
}

/** Spells "kiln": processes that start at the same moment bring the tables up to date one after the other. */
const MIGRATION_LOCK = 0x6b696c6e;

async function migrate(records: Kysely<RecordsSchema>): Promise<void> {
  if (await isUpToDate(records)) return;
  await records.connection().execute(async (connection) => {
    await sql`SELECT pg_advisory_lock(${MIGRATION_LOCK}::bigint)`.execute(connection);
    try {
      await sql`CREATE SCHEMA IF NOT EXISTS kiln`.execute(connection);
      const migrator = new Migrator({
        db: records.withoutPlugins(),
        provider: { getMigrations: async () => MIGRATIONS },
        migrationTableSchema: "kiln",
      });
      const { error } = await migrator.migrateToLatest();
      if (error) throw error;
    } finally {
      await sql`SELECT pg_advisory_unlock(${MIGRATION_LOCK}::bigint)`.execute(connection);
    }
  });
}

/** Whether every migration has been applied; a question of a millisecond, where the migrator's own look at the tables takes fifty. */
async function isUpToDate(records: Kysely<RecordsSchema>): Promise<boolean> {
  try {
    const { rows } = await sql<{ name: string }>`SELECT name FROM kiln.kysely_migration`.execute(records);
    const applied = new Set(rows.map(({ name }) => name));
    return Object.keys(MIGRATIONS).every((name) => applied.has(name));
  } catch {
    return false; // a database that is new, or away: the migrator says which
  }
}
