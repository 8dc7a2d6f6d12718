import type { JobProgress } from "../events/bus.ts";
import type { ImageRow, JobRow } from "../records/job-store.ts";
import type { JobStatus, JobTimings, Priority } from "../records/schema.ts";
import type { CompleteRequest } from "./request.ts";

export interface ImageView {
  id: string;
  url: string;
  thumbnail_url: string;
  width: number;
  height: number;
  /** A string where a number would lose digits. */
  seed: number | string;
  format: string;
  bytes: number;
}

/** A job as the native API shows it. */
export interface JobView {
  id: string;
  status: JobStatus;
  priority: Priority;
  created_at: string;
  started_at?: string;
  finished_at?: string;
  request: Omit<CompleteRequest, "seed" | "webhook" | "scheduler_label" | "scheduler_from_model"> & {
    seed: number | string;
    webhook?: { url: string };
  };
  progress?: JobProgress;
  position?: number;
  images: ImageView[];
  error?: { code: string; message: string };
  attempts: number;
  favorite: boolean;
  selected?: string;
  workload: number;
  timings?: JobTimings;
  parameters?: string;
  warnings?: string[];
}

/** A job's record as the native API shows it. Addresses are paths; whoever answers puts a host before them where one is wanted. */
export function viewJob(
  row: JobRow,
  images: readonly ImageRow[],
  extra: { progress?: JobProgress | undefined; position?: number | undefined } = {},
): JobView {
  const { seed, webhook, scheduler_label: _label, scheduler_from_model: _fromModel, ...request } = row.request;
  return {
    id: row.id,
    status: row.status,
    priority: row.priority,
    created_at: row.created_at.toISOString(),
    ...(row.started_at ? { started_at: row.started_at.toISOString() } : {}),
    ...(row.finished_at ? { finished_at: row.finished_at.toISOString() } : {}),
    request: { ...request, seed: shownSeed(seed), ...(webhook ? { webhook: { url: webhook.url } } : {}) },
    ...(extra.progress && row.status === "running" ? { progress: extra.progress } : {}),
    ...(extra.position !== undefined && row.status === "queued" ? { position: extra.position } : {}),
    images: images.map(viewImage),
    ...(row.error ? { error: row.error } : {}),
    attempts: row.attempts,
    favorite: row.favorite,
    ...(row.selected === null ? {} : { selected: row.selected }),
    workload: row.workload,
    ...(row.timings ? { timings: row.timings } : {}),
    ...(row.parameters === null ? {} : { parameters: row.parameters }),
    ...(row.warnings.length > 0 ? { warnings: row.warnings } : {}),
  };
}

function viewImage({ id, width, height, seed, format, bytes }: ImageRow): ImageView {
  return {
    id,
    url: `/v1/images/${id}`,
    thumbnail_url: `/v1/images/${id}/thumbnail`,
    width,
    height,
    seed: shownSeed(seed),
    format,
    bytes,
  };
}

export function shownSeed(seed: string): number | string {
  const number = Number(seed);
  return Number.isSafeInteger(number) ? number : seed;
}

/** Seconds from a job's start on an engine to its stored pictures. */
export function secondsOnEngine({ total_seconds, queue_seconds }: JobTimings): number {
  return total_seconds - queue_seconds;
}

export function isFinished(status: JobStatus): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}
