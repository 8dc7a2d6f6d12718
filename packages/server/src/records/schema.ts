import type { ColumnType, Generated } from "kysely";
import type { JobOrigin } from "../http/request-scope.ts";
import type { CompleteRequest } from "../jobs/request.ts";

/** JSON columns are written as text and read as values. */
type Json<T> = ColumnType<T, string, string>;
type NullableJson<T> = ColumnType<T | null, string | null, string | null>;

export const JOB_STATUSES = ["queued", "running", "completed", "failed", "cancelled"] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];
export type Priority = "urgent" | "high" | "normal";

export interface JobTimings {
  queue_seconds: number;
  load_seconds: number;
  denoise_seconds: number;
  total_seconds: number;
}

export interface JobsTable {
  id: string;
  /** A small whole number, for faces whose ids are integers. */
  number: Generated<number>;
  owner: string;
  status: JobStatus;
  priority: Priority;
  model: string;
  request: Json<CompleteRequest>;
  /** Lower-case prompt, for search. */
  words: string;
  /** Which face the request came through, and what that face wants to find again. */
  dialect: string;
  context: NullableJson<Record<string, unknown>>;
  created_at: Generated<Date>;
  started_at: Date | null;
  finished_at: Date | null;
  deadline_at: Date | null;
  attempts: Generated<number>;
  engine_deaths: Generated<number>;
  cancel_requested: Generated<boolean>;
  error: NullableJson<{ code: string; message: string }>;
  /** What is known about each death of an engine with this job in flight. */
  evidence: ColumnType<string[], string | undefined, string>;
  warnings: ColumnType<string[], string | undefined, string>;
  favorite: Generated<boolean>;
  selected: string | null;
  workload: number;
  fair_tag: number;
  timings: NullableJson<JobTimings>;
  parameters: string | null;
  worker: string | null;
  /** When the end of the job is to be told next; null where nothing is to be told (any more). */
  webhook_at: Date | null;
  webhook_tries: Generated<number>;
  /** The HTTP request that made the job. */
  origin: NullableJson<JobOrigin>;
}

export interface ImagesTable {
  id: string;
  job_id: string;
  position: number;
  key: string;
  thumbnail_key: string;
  width: number;
  height: number;
  seed: string;
  format: string;
  bytes: number;
}

export interface UploadsTable {
  id: string;
  owner: string;
  key: string;
  width: number;
  height: number;
  format: string;
  bytes: number;
  created_at: Generated<Date>;
}

export interface KeysTable {
  id: string;
  name: string;
  hash: string;
  role: "admin" | "user";
  rate_per_minute: number | null;
  quota_pictures_per_day: number | null;
  quota_megapixel_steps_per_day: number | null;
  content_ceiling: number | null;
  created_at: Generated<Date>;
  revoked_at: Date | null;
}

export interface UsageTable {
  owner: string;
  day: string;
  jobs: number;
  pictures: number;
  /** Steps x pixels in millions, over all pictures. */
  megapixel_steps: number;
}

export interface IdempotencyTable {
  owner: string;
  key: string;
  fingerprint: string;
  job_ids: Json<string[]>;
  created_at: Generated<Date>;
}

/** What a face keeps of its own: one row for each thing, which only that face reads. */
export interface DocumentsTable {
  id: Generated<number>;
  collection: string;
  owner: string;
  data: Json<Record<string, unknown>>;
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

export interface WorkersTable {
  id: string;
  host: string;
  device: string;
  state: Json<Record<string, unknown>>;
  seen_at: Date;
}

/** Random values that all processes of an installation share; they never leave the database. */
export interface SecretsTable {
  name: string;
  value: string;
}

export interface LoginAttemptsTable {
  account: string;
  failures: number;
  /** When the count is forgotten. */
  until: Date;
}

export interface RecordsSchema {
  jobs: JobsTable;
  images: ImagesTable;
  uploads: UploadsTable;
  keys: KeysTable;
  usage: UsageTable;
  idempotency: IdempotencyTable;
  workers: WorkersTable;
  documents: DocumentsTable;
  secrets: SecretsTable;
  login_attempts: LoginAttemptsTable;
}
