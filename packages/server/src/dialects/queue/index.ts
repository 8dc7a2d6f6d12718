import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import type { Dialect, ServerContext } from "../../http/dialect.ts";
import { baseUrlOf } from "../../http/request-context.ts";
import type { JobWithImages } from "../../jobs/job-service.ts";
import { secondsOnEngine } from "../../jobs/job-view.ts";
import { parseFields, sendDetail } from "../field-errors.ts";
import { QUEUE_FIELDS, queueRequestSchema, toNative } from "./request.ts";

/** What no id looks like is no job, whatever it holds. */
const statusParams = z.object({ job_id: z.string().regex(/^\w{1,100}$/) });

/** The queue service's contract: a job is accepted at once, and its state is asked for until it has ended. */
export const queue: Dialect = {
  name: "queue",
  register(app, context) {
    app.setErrorHandler((error, request, reply) => sendDetail(error, request, reply, QUEUE_FIELDS));

    app.post("/generate", async (request) => {
      const body = parseFields(queueRequestSchema, request.body, "body");
      const { affection_level, nsfw_level, high_quality } = body;
      const job = await context.jobs.submit(toNative(body, context), request.caller, {
        dialect: "queue",
        context: { context: body.context ?? null, affection_level, nsfw_level, high_quality },
      });
      return { job_id: job.id, status: "queued" };
    });

    app.get("/status/:job_id", async (request) => {
      const params = statusParams.safeParse(request.params);
      if (!params.success) throw notFound();
      const found = await context.jobs.read(params.data.job_id, request.caller).catch((error: unknown) => {
        throw error instanceof ServiceError && error.code === "not_found" ? notFound() : error;
      });
      return await viewStatus(found, context, baseUrlOf(request, context));
    });

    app.get("/health", { config: { public: true } }, async () => await health(context));
  },
};

function notFound(): ServiceError {
  return new ServiceError("not_found", "Job not found");
}

/** A cancelled job is a failed one here: the contract knows no other end without a picture. */
const STATUSES = { queued: "queued", running: "processing", completed: "completed", failed: "failed", cancelled: "failed" };

async function viewStatus({ row, images }: JobWithImages, { jobs }: ServerContext, base: string): Promise<object> {
  const [image] = row.status === "completed" ? images : [];
  const { timings } = row;
  return {
    job_id: row.id,
    status: STATUSES[row.status],
    ...(image ? { image_url: await jobs.addressOf(image, base), thumbnail_url: await jobs.addressOf(image, base, true) } : {}),
    ...(timings ? { generation_time: Math.round(secondsOnEngine(timings) * 100) / 100 } : {}),
    ...(row.error ? { error: row.error.message } : {}),
  };
}

/** Models come into memory with the first job that needs them; "loaded" says that a job sent now would be drawn. */
async function health(context: ServerContext): Promise<object> {
  const workers = await context.workers.alive().catch(() => []);
  const devices = workers.map(({ device }) => device).filter((device) => device !== "");
  const gpus = devices.filter((device) => device !== "cpu" && device !== "none");
  const ready = await context.checkReady().then(
    () => true,
    () => false,
  );
  const refiner = context.catalogue.list("checkpoint").some(({ family }) => family === "sdxl-refiner");
  return {
    status: "healthy",
    pipeline_loaded: ready,
    refiner_loaded: ready && refiner,
    gpu_available: gpus.length > 0,
    gpu_count: gpus.length,
    device: gpus[0] ?? devices[0] ?? "cpu",
  };
}
