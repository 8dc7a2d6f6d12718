import type { PgPool, PgPoolClient, PgQueryResult } from "bullmq";

/**
 * The part of `pg.Pool` that the records and the queue use, in BullMQ's words. A real pool fits it, and so does
 * the embedded database, so that neither of them knows which one it talks to.
 */
export type PoolFace = PgPool;
export type PoolClientFace = PgPoolClient;
export type QueryResult<Row> = PgQueryResult<Row> & { command: string };
