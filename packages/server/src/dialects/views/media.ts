import { timingSafeEqual } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import { notFound } from "./errors.ts";
import { pictureKey, VIEWS, type ViewJob } from "./view-job.ts";
import type { ViewJobs } from "./view-jobs.ts";

const params = z.object({ id: z.string().regex(/^\d{1,9}$/), name: z.enum(["original", ...VIEWS]) });
const query = z.object({ key: z.string().length(32) });
/** No longer: a browser should forget the photo of a job that was removed. */
const CACHE = "private, max-age=3600";

/** Photos and pictures for `<img>`, which sends no token: the address carries the job's own key. */
export function registerMedia(app: FastifyInstance, viewJobs: ViewJobs, context: ServerContext): void {
  app.get("/media/jobs/:id/:name", { config: { public: true } }, async (request, reply) => {
    const wanted = params.safeParse(request.params);
    const given = query.safeParse(request.query);
    if (!wanted.success || !given.success) throw notFound();
    const job = await viewJobs.find(Number(wanted.data.id));
    const file = job && isKey(given.data.key, job) ? fileOf(job, wanted.data.name) : undefined;
    const bytes = file && (await context.storage.get(file.key));
    if (!file || !bytes) throw notFound();
    return await reply.type(`image/${file.format}`).header("cache-control", CACHE).send(bytes);
  });
}

function isKey(given: string, { data }: ViewJob): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(data.secret)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function fileOf({ id, data }: ViewJob, name: z.output<typeof params>["name"]): { key: string; format: string } {
  return name === "original" ? data.original : { key: `${pictureKey(id, name)}.jpg`, format: "jpeg" };
}
