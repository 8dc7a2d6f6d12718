import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../auth/caller.ts";
import { SERVICE_ERRORS, ServiceError, type ServiceErrorCode } from "../errors.ts";
import type { ServerContext } from "../http/dialect.ts";
import { signalOf } from "../http/request-context.ts";
import type { JobWithImages } from "../jobs/job-service.ts";

/**
 * Waits until the jobs of one call have their pictures. When the client goes away first, nobody can ever fetch them
 * through a contract that answers once, so the jobs are given up and their slots are free. Raises ServiceError for a
 * job that ended without its pictures.
 */
export async function waitForPictures(
  ids: readonly string[],
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<JobWithImages[]> {
  const signal = signalOf(request, reply);
  const done = await Promise.all(ids.map((id) => waitOrCancel(id, context, request.caller, signal)));
  for (const { row } of done) if (row.status !== "completed") throw failureOf(row.error, row.status);
  return done;
}

/** The end of one job, whatever it is; a client who goes away ends it. */
export async function waitOrCancel(
  id: string,
  { jobs }: ServerContext,
  caller: Caller,
  signal: AbortSignal,
): Promise<JobWithImages> {
  try {
    return await jobs.wait(id, caller, signal);
  } catch (error) {
    if (signal.aborted) await jobs.cancel(id, caller);
    throw error;
  }
}

/** Reasons of the engine's that are the request's doing, in the words of refusals. */
const OF_THE_REQUEST: Readonly<Record<string, ServiceErrorCode>> = {
  adapter_mismatch: "model_incompatible",
  cancelled: "conflict",
  out_of_memory: "unavailable",
  deadline_exceeded: "unavailable",
};

/** Why a job has no pictures, as the refusal that a call which waited for them answers with. */
export function failureOf(error: { code: string; message: string } | null, status: string): ServiceError {
  const message = error?.message ?? `The job is ${status}.`;
  const code = error?.code ?? "internal";
  const known = OF_THE_REQUEST[code] ?? (isServiceCode(code) ? code : "internal");
  return new ServiceError(known, message);
}

function isServiceCode(code: string): code is ServiceErrorCode {
  return Object.hasOwn(SERVICE_ERRORS, code);
}
