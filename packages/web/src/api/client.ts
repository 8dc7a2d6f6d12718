import { connectionProblem, problemFrom } from "./problem.ts";
import { readJob, readJobPage, readModels, readSchedulers, readSystem, readUpload } from "./readers.ts";
import type { GenerationRequest, Job, JobPage, Model, Scheduler, System, Upload } from "./types.ts";

/** How long a question may stay unanswered before the connection counts as lost. Uploads have no such limit. */
const ANSWER_MILLISECONDS = 15_000;

export interface JobQuery {
  readonly limit?: number;
  /** The cursor of the page before. */
  readonly before?: string | undefined;
  readonly favorite?: boolean;
}

/** Makes the job and returns it as accepted. A repeated call with the same key makes one job only. */
export async function createJob(request: GenerationRequest, idempotencyKey: string): Promise<Job> {
  return readJob(await send("POST", "/v1/jobs", request, { "Idempotency-Key": idempotencyKey }));
}

export async function readOneJob(id: string): Promise<Job> {
  return readJob(await send("GET", jobPath(id)));
}

export async function listJobs(query: JobQuery = {}): Promise<JobPage> {
  const search = new URLSearchParams();
  if (query.limit !== undefined) search.set("limit", String(query.limit));
  if (query.before !== undefined) search.set("before", query.before);
  if (query.favorite === true) search.set("favorite", "true");
  const suffix = search.size > 0 ? `?${search}` : "";
  return readJobPage(await send("GET", `/v1/jobs${suffix}`));
}

export async function cancelJob(id: string): Promise<Job> {
  return readJob(await send("POST", `${jobPath(id)}/cancel`));
}

/** Removes a finished job with its pictures. */
export async function deleteJob(id: string): Promise<void> {
  await send("DELETE", jobPath(id));
}

/** As deleteJob, for the moment when the page closes: the browser finishes the request by itself. */
export function deleteJobOnLeave(id: string): void {
  void fetch(jobPath(id), { method: "DELETE", keepalive: true }).catch(() => undefined);
}

export async function markFavorite(id: string, favorite: boolean): Promise<Job> {
  return readJob(await send("PATCH", jobPath(id), { favorite }));
}

export async function listModels(): Promise<Model[]> {
  return readModels(await send("GET", "/v1/models"));
}

export async function listSchedulers(): Promise<Scheduler[]> {
  return readSchedulers(await send("GET", "/v1/schedulers"));
}

export async function readSystemState(): Promise<System> {
  return readSystem(await send("GET", "/v1/system"));
}

export async function uploadPicture(picture: Blob): Promise<Upload> {
  const response = await request("/v1/uploads", {
    method: "POST",
    headers: { "Content-Type": picture.type },
    body: picture,
  });
  return readUpload(await response.json());
}

/** The address of a job's event stream. */
export function jobEventsPath(id: string): string {
  return `${jobPath(id)}/events`;
}

/** The address of a picture's bytes by its id, for a reference such as `upload:ID` or `image:ID`. */
export function pictureReferencePath(reference: string): string | undefined {
  const [kind, id] = reference.split(":");
  if (id === undefined || id === "") return undefined;
  return kind === "image" ? `/v1/images/${encodeURIComponent(id)}/thumbnail` : `/v1/uploads/${encodeURIComponent(id)}`;
}

function jobPath(id: string): string {
  return `/v1/jobs/${encodeURIComponent(id)}`;
}

async function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await request(path, {
    method,
    headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MILLISECONDS),
  });
  return response.status === 204 ? undefined : response.json();
}

async function request(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(path, init).catch(() => {
    throw connectionProblem();
  });
  // A gateway in front that has lost the service answers for it; to the person at the page that is the same loss.
  if (response.status === 502 || response.status === 504) throw connectionProblem();
  if (!response.ok) throw await problemFrom(response);
  return response;
}
