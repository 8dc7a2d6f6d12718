import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import { MAX_BATCH_REQUESTS, MAX_LIST } from "../../jobs/limits.ts";
import { generationRequestSchema } from "../../jobs/request.ts";
import { isRecordTime } from "../../records/record-time.ts";
import { JOB_STATUSES } from "../../records/schema.ts";
import { type Route, route } from "../route.ts";
import { sendImage } from "../send-image.ts";
import { idParams, jobSchema, queryFlag, queryTime } from "./schemas.ts";

const DEFAULT_PAGE = 50;

const JOB = { description: "The job", schema: jobSchema };

const MAX_IDEMPOTENCY_KEY = 255;
const IDEMPOTENCY = {
  "Idempotency-Key": `1 to ${MAX_IDEMPOTENCY_KEY} characters: the same key with the same request answers with the same jobs, with another request 422`,
};

function idempotencyKey(headers: Record<string, unknown>): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || key.length < 1 || key.length > MAX_IDEMPOTENCY_KEY) {
    throw new ServiceError("invalid_request", `Idempotency-Key: must be 1 to ${MAX_IDEMPOTENCY_KEY} characters.`, {
      field: "Idempotency-Key",
    });
  }
  return key;
}

/** A place in the list: the time and the id of the last job on the page. */
function readCursor(cursor: string | undefined): { createdAt: Date; id: string } | undefined {
  if (cursor === undefined) return undefined;
  const [time = "", id = ""] = Buffer.from(cursor, "base64url").toString("utf8").split("|");
  const createdAt = new Date(Number(time));
  if (id === "" || time === "" || !isRecordTime(createdAt))
    throw new ServiceError("invalid_request", "before: is no cursor of this list.", { field: "before" });
  return { createdAt, id };
}

/** Validated by the service, which every face goes through; here it is for the document alone. */
const requestDocument = z
  .unknown()
  .meta(z.toJSONSchema(generationRequestSchema, { io: "input", unrepresentable: "any" }) as Record<string, unknown>);

export const jobRoutes: Route[] = [
  route({
    method: "POST",
    path: "/v1/jobs",
    summary: "Create a job",
    tag: "jobs",
    headers: IDEMPOTENCY,
    body: requestDocument,
    answers: { 202: JOB },
    async handle({ body, caller, context, request, reply }) {
      const job = await context.jobs.submit(body, caller, { idempotencyKey: idempotencyKey(request.headers) });
      reply.code(202).header("location", `/v1/jobs/${job.id}`);
      return job;
    },
  }),
  route({
    method: "POST",
    path: "/v1/jobs/batch",
    summary: "Create several jobs, all or none",
    tag: "jobs",
    headers: IDEMPOTENCY,
    body: z.object({ requests: z.array(requestDocument).min(1).max(MAX_BATCH_REQUESTS) }),
    answers: { 202: { description: "The jobs", schema: z.object({ jobs: z.array(jobSchema) }) } },
    async handle({ body, caller, context, request, reply }) {
      const jobs = await context.jobs.submitAll(body.requests, caller, { idempotencyKey: idempotencyKey(request.headers) });
      reply.code(202);
      return { jobs };
    },
  }),
  route({
    method: "GET",
    path: "/v1/jobs",
    summary: "List jobs, newest first",
    tag: "jobs",
    query: z.object({
      status: z.enum(JOB_STATUSES).optional(),
      search: z.string().max(200).optional(),
      favorite: queryFlag.optional(),
      model: z.string().max(200).optional(),
      dialect: z.string().max(50).optional().meta({ description: "The face that the job came through" }),
      from: queryTime.optional().meta({ description: "Created then or later" }),
      to: queryTime.optional().meta({ description: "Created before" }),
      before: z.string().max(200).optional(),
      limit: z.coerce.number().int().min(1).max(MAX_LIST).default(DEFAULT_PAGE),
    }),
    answers: {
      200: {
        description: "A page of jobs; `next` is the cursor of the page after",
        schema: z.object({ jobs: z.array(jobSchema), next: z.string().optional() }),
      },
    },
    async handle({ query, caller, context }) {
      const { before, limit, ...filter } = query;
      const jobs = await context.jobs.list({ ...filter, before: readCursor(before), limit: limit + 1 }, caller);
      const page = jobs.slice(0, limit);
      const last = page.at(-1);
      const next =
        jobs.length > limit && last
          ? Buffer.from(`${new Date(last.created_at).getTime()}|${last.id}`).toString("base64url")
          : undefined;
      return next === undefined ? { jobs: page } : { jobs: page, next };
    },
  }),
  route({
    method: "GET",
    path: "/v1/jobs/{id}",
    summary: "Read a job",
    tag: "jobs",
    params: idParams,
    answers: { 200: JOB },
    handle: async ({ params, caller, context }) => await context.jobs.get(params.id, caller),
  }),
  route({
    method: "PATCH",
    path: "/v1/jobs/{id}",
    summary: "Mark a job as a favourite, or select one of its pictures",
    tag: "jobs",
    params: idParams,
    body: z.object({ favorite: z.boolean().optional(), selected: z.string().max(200).nullable().optional() }),
    answers: { 200: JOB },
    handle: async ({ params, body, caller, context }) => await context.jobs.update(params.id, body, caller),
  }),
  route({
    method: "POST",
    path: "/v1/jobs/{id}/cancel",
    summary: "Cancel a job",
    tag: "jobs",
    params: idParams,
    answers: { 200: JOB },
    handle: async ({ params, caller, context }) => await context.jobs.cancel(params.id, caller),
  }),
  route({
    method: "DELETE",
    path: "/v1/jobs/{id}",
    summary: "Remove a finished job and its pictures, or cancel an unfinished one",
    tag: "jobs",
    params: idParams,
    answers: { 200: JOB },
    handle: async ({ params, caller, context }) => await context.jobs.remove(params.id, caller),
  }),
  route({
    method: "GET",
    path: "/v1/jobs/{id}/result",
    summary: "The first picture of a completed job",
    tag: "jobs",
    params: idParams,
    answers: {
      200: { description: "The picture", contentType: "image/*" },
      409: { description: "The job has no picture (yet)", contentType: "application/problem+json" },
    },
    async handle({ params, caller, context, request, reply }) {
      const { row, images } = await context.jobs.read(params.id, caller);
      const [first] = images;
      if (!first)
        throw new ServiceError(
          "conflict",
          `The job is ${row.status}${row.error ? `: ${row.error.message}` : ""}; it has no picture.`,
        );
      return await sendImage(request, reply, context, first, false);
    },
  }),
];
