import { type BackendFactory, createPostgresBackend, type IQueueBackend, runMigrations } from "bullmq";
import { Redis } from "ioredis";
import type { PoolFace } from "../records/pool.ts";

/** Where the queue lives: what BullMQ connects with, and how it makes a backend of it. */
export interface QueueBackend {
  kind: "embedded" | "postgres" | "redis";
  connection: unknown;
  /** Undefined is BullMQ's own, Redis. */
  factory: BackendFactory<IQueueBackend, unknown> | undefined;
  prefix: string | undefined;
  close(): Promise<void>;
}

/** The queue in the records' database, embedded or PostgreSQL. BullMQ's tables are brought up to date first. */
export async function databaseBackend(kind: "embedded" | "postgres", pool: PoolFace): Promise<QueueBackend> {
  const client = await pool.connect();
  try {
    await runMigrations(client);
  } finally {
    client.release();
  }
  const factory: BackendFactory<IQueueBackend, unknown> = (name, options, factoryOptions) =>
    createPostgresBackend(name, { ...options, connection: pool }, factoryOptions);
  return { kind, connection: pool, factory, prefix: undefined, close: async () => {} };
}

/** The queue in Redis or Valkey. */
export function redisBackend(url: string, prefix = "kiln"): QueueBackend {
  // BullMQ asks for null: a blocking command must outlive any number of reconnections.
  const connection = new Redis(url, { maxRetriesPerRequest: null, enableReadyCheck: true });
  connection.on("error", () => {}); // reported by the queue and the workers themselves
  return {
    kind: "redis",
    connection,
    factory: undefined,
    prefix,
    async close() {
      await connection.quit().catch(() => connection.disconnect());
    },
  };
}
