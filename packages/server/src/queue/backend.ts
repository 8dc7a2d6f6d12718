import { type BackendFactory, createPostgresBackend, type IQueueBackend, runMigrations } from "bullmq";
import { Redis } from "ioredis";
import type { PoolFace } from "../records/pool.ts";

/** Where the queue lives: what BullMQ connects with, and how it makes a backend of it. */
export interface QueueBackend {
  kind: "embedded" | "postgres" | "redis";
  connection: unknown;
  /** What workers connect with, where that is not the same. */
  workerConnection?: unknown;
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

/** Redis that does not answer for so long counts as away, also where nothing says that the connection has gone. */
const COMMAND_MILLISECONDS = 10_000;

/** The queue in Redis or Valkey. */
export function redisBackend(url: string, prefix = "kiln"): QueueBackend {
  // BullMQ asks for null: a worker's blocking command must outlive any number of reconnections.
  const workerConnection = new Redis(url, { maxRetriesPerRequest: null, enableReadyCheck: true });
  // Whoever adds a job waits for the answer: with Redis away it is no, at once, and nothing is kept to be sent later.
  const connection = new Redis(url, {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: COMMAND_MILLISECONDS,
    enableReadyCheck: true,
  });
  // Reported by the queue and the workers themselves.
  for (const each of [connection, workerConnection]) each.on("error", () => {});
  return {
    kind: "redis",
    connection,
    workerConnection,
    factory: undefined,
    prefix,
    async close() {
      // To say goodbye to a server that is away would wait for it.
      for (const each of [connection, workerConnection]) {
        if (each.status === "ready") await each.quit().catch(() => each.disconnect());
        else each.disconnect();
      }
    },
  };
}
