import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { baseUrlOf } from "../../http/request-context.ts";
import { isRecordTime } from "../../records/record-time.ts";
import { looseFlag } from "../loose.ts";
import { STATUSES, type ViewJob } from "./view-job.ts";
import type { ViewJobs } from "./view-jobs.ts";

/** The contract's. */
const PAGE_SIZE = 10;
/** Offsets beyond this are no page that anybody leafs to. */
const MAX_PAGE = 1_000_000;
const DAY_MILLISECONDS = 86_400_000;

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const date = z
  .string("Enter a valid date.")
  .max(40, "Enter a valid date.")
  .refine((text) => /^\d{4}-\d{2}-\d{2}/.test(text) && isRecordTime(new Date(text)), "Enter a valid date.");

export const listQuerySchema = z.object({
  status: z.enum(STATUSES, "Select a valid choice.").optional(),
  favorites: looseFlag.optional(),
  date_from: date.transform((text) => new Date(text)).optional(),
  /** A day counts as a whole. */
  date_to: date.transform((text) => new Date(Date.parse(text) + (DATE.test(text) ? DAY_MILLISECONDS : 1))).optional(),
  search: z.string("Enter a valid value.").max(200, "Ensure this value has at most 200 characters.").optional(),
  page: z.string("Invalid page.").optional(),
});

type ListQuery = z.output<typeof listQuerySchema>;

/** A page of the caller's jobs, newest first, with the addresses of those beside it. */
export async function pageOf(
  query: ListQuery,
  request: FastifyRequest,
  path: string,
  viewJobs: ViewJobs,
  show: (job: ViewJob) => Promise<object>,
  context: ServerContext,
): Promise<{ count: number; next: string | null; previous: string | null; results: object[] }> {
  const page = Number(query.page ?? 1);
  if (!Number.isInteger(page) || page < 1 || page > MAX_PAGE) throw new ServiceError("not_found", "Invalid page.");
  const where = {
    ...(query.status === undefined ? {} : { status: query.status }),
    ...(query.favorites ? { favorite: true } : {}),
  };
  const filter = { owner: request.caller.owner, where, search: query.search, from: query.date_from, to: query.date_to };
  const { count, jobs } = await viewJobs.list(filter, PAGE_SIZE, (page - 1) * PAGE_SIZE);
  if (page > 1 && jobs.length === 0) throw new ServiceError("not_found", "Invalid page.");
  const results: object[] = [];
  for (const job of jobs) results.push(await show(job));
  const beside = (number: number) => addressOf(number, request, `${baseUrlOf(request, context)}${path}`);
  return {
    count,
    next: page * PAGE_SIZE < count ? beside(page + 1) : null,
    previous: page > 1 ? beside(page - 1) : null,
    results,
  };
}

function addressOf(page: number, request: FastifyRequest, address: string): string {
  const query = new URLSearchParams(request.url.split("?")[1] ?? "");
  query.delete("page");
  if (page > 1) query.set("page", String(page));
  const text = query.toString();
  return text === "" ? address : `${address}?${text}`;
}
