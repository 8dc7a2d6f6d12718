import { type Kysely, type Migration, sql } from "kysely";

/** The tables' history. A migration that has been released is never edited; a new one is added. */
export const MIGRATIONS: Record<string, Migration> = {
  "001-first": {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`CREATE TABLE kiln.jobs (
        id text PRIMARY KEY, number serial NOT NULL, owner text NOT NULL, status text NOT NULL, priority text NOT NULL, model text NOT NULL,
        request jsonb NOT NULL, words text NOT NULL, dialect text NOT NULL, context jsonb,
        created_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz, finished_at timestamptz, deadline_at timestamptz,
        attempts integer NOT NULL DEFAULT 0, engine_deaths integer NOT NULL DEFAULT 0,
        cancel_requested boolean NOT NULL DEFAULT false, error jsonb, evidence jsonb NOT NULL DEFAULT '[]',
        warnings jsonb NOT NULL DEFAULT '[]', favorite boolean NOT NULL DEFAULT false, selected text,
        workload double precision NOT NULL, fair_tag integer NOT NULL DEFAULT 0, timings jsonb, parameters text, worker text
      )`.execute(db);
      await sql`CREATE INDEX jobs_by_owner ON kiln.jobs (owner, created_at DESC, id DESC)`.execute(db);
      // Finished jobs outnumber the others by far, and only the others are looked up by status.
      await sql`CREATE INDEX jobs_unfinished ON kiln.jobs (status, created_at) WHERE status IN ('queued', 'running')`.execute(db);
      await sql`CREATE TABLE kiln.images (
        id text PRIMARY KEY, job_id text NOT NULL REFERENCES kiln.jobs (id) ON DELETE CASCADE, position integer NOT NULL,
        key text NOT NULL, thumbnail_key text NOT NULL, width integer NOT NULL, height integer NOT NULL, seed text NOT NULL,
        format text NOT NULL, bytes integer NOT NULL, UNIQUE (job_id, position)
      )`.execute(db);
      await sql`CREATE TABLE kiln.uploads (
        id text PRIMARY KEY, owner text NOT NULL, key text NOT NULL, width integer NOT NULL, height integer NOT NULL,
        format text NOT NULL, bytes integer NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
      )`.execute(db);
      await sql`CREATE TABLE kiln.keys (
        id text PRIMARY KEY, name text NOT NULL, hash text NOT NULL UNIQUE, role text NOT NULL, rate_per_minute integer,
        quota_pictures_per_day integer, content_ceiling integer, created_at timestamptz NOT NULL DEFAULT now(), revoked_at timestamptz
      )`.execute(db);
      await sql`CREATE TABLE kiln.usage (
        owner text NOT NULL, day text NOT NULL, jobs integer NOT NULL, pictures integer NOT NULL,
        megapixel_steps double precision NOT NULL, PRIMARY KEY (owner, day)
      )`.execute(db);
      await sql`CREATE TABLE kiln.idempotency (
        owner text NOT NULL, key text NOT NULL, fingerprint text NOT NULL, job_ids jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (owner, key)
      )`.execute(db);
      await sql`CREATE TABLE kiln.documents (
        id serial PRIMARY KEY, collection text NOT NULL, owner text NOT NULL, data jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
      )`.execute(db);
      await sql`CREATE INDEX documents_by_owner ON kiln.documents (collection, owner, id DESC)`.execute(db);
      await sql`CREATE TABLE kiln.workers (
        id text PRIMARY KEY, host text NOT NULL, device text NOT NULL, state jsonb NOT NULL, seen_at timestamptz NOT NULL
      )`.execute(db);
    },
  },
  "002-origin": {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`ALTER TABLE kiln.jobs ADD COLUMN origin jsonb`.execute(db);
    },
  },
  "003-webhooks": {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`ALTER TABLE kiln.jobs ADD COLUMN webhook_at timestamptz, ADD COLUMN webhook_tries integer NOT NULL DEFAULT 0`.execute(
        db,
      );
      await sql`CREATE INDEX jobs_to_tell ON kiln.jobs (webhook_at) WHERE webhook_at IS NOT NULL`.execute(db);
    },
  },
  "004-secrets": {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`CREATE TABLE kiln.secrets (name text PRIMARY KEY, value text NOT NULL)`.execute(db);
    },
  },
  "005-login-attempts": {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`CREATE TABLE kiln.login_attempts (
        account text PRIMARY KEY, failures integer NOT NULL, until timestamptz NOT NULL
      )`.execute(db);
      await sql`CREATE INDEX login_attempts_by_end ON kiln.login_attempts (until)`.execute(db);
    },
  },
  "006-work-quota": {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`ALTER TABLE kiln.keys ADD COLUMN quota_megapixel_steps_per_day integer`.execute(db);
    },
  },
  "007-one-user-an-address": {
    async up(db: Kysely<unknown>): Promise<void> {
      await sql`DELETE FROM kiln.documents AS later USING kiln.documents AS first
        WHERE later.collection = 'views_users' AND first.collection = 'views_users' AND later.owner = first.owner
          AND later.id > first.id`.execute(db);
      await sql`CREATE UNIQUE INDEX views_users_by_address ON kiln.documents (owner) WHERE collection = 'views_users'`.execute(
        db,
      );
    },
  },
};
