import type { PoolFace } from "./pool.ts";

/** As autovacuum: a table is worn when this many rows, and this part of those it holds, are dead or new to the planner. */
const LEAST_ROWS = 1000;
const PART = 0.2;

/**
 * What autovacuum does elsewhere: the embedded database has no process beside it. Without it the queue's table, where rows come
 * and go with every job, grows for ever, and the planner goes by tables that were empty. Each table is a statement of its own,
 * because everybody waits while one runs.
 * @returns the tables that were worn
 */
export async function vacuumWorn(pool: PoolFace): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, relname) AS name FROM pg_stat_user_tables
     WHERE greatest(n_dead_tup, n_mod_since_analyze) > $1::float8 + $2::float8 * n_live_tup`,
    [LEAST_ROWS, PART],
  );
  for (const { name } of rows) await pool.query(`VACUUM (ANALYZE) ${name}`);
  return rows.map(({ name }) => name);
}
