import type { FastifyReply, FastifyRequest } from "fastify";
import type { EngineMemory } from "../../engine/picture-engine.ts";
import { ServiceError } from "../../errors.ts";
import type { Dialect, ServerContext } from "../../http/dialect.ts";
import { asServiceError, logFailure } from "../../http/problem.ts";
import { shownSeed } from "../../jobs/job-view.ts";
import { parseOrRefuse } from "../../jobs/parse.ts";
import { waitForPictures } from "../draw-now.ts";
import { Readiness } from "../readiness.ts";
import { instantRequestSchema, planInstant } from "./request.ts";

/** Models that this build cannot run: a request that wants them is drawn without, and the answer says so. */
const FACE_RESTORATION = false;
const REAL_ESRGAN = false;

/** The instant service's contract: one call, and the picture as base64 in its answer. */
export const instant: Dialect = {
  name: "instant",
  register(app, context) {
    const readiness = new Readiness(context);
    app.setErrorHandler(sendFailure);
    app.get("/health", { config: { public: true } }, async () => await health(context, await readiness.isReady()));
    for (const path of ["/generate", "/txt2img"]) {
      app.post(path, async (request, reply) => {
        if (!(await readiness.hasOpened()))
          throw new ServiceError("unavailable", "The model is loading; ask /health until model_loaded is true.", {
            retryAfter: 5,
          });
        return await generate(request, reply, context);
      });
    }
  },
};

async function generate(request: FastifyRequest, reply: FastifyReply, context: ServerContext): Promise<object> {
  const plan = planInstant(parseOrRefuse(instantRequestSchema, request.body), context);
  const job = await context.jobs.submit(plan.native, request.caller, { dialect: "instant" });
  const [done] = await waitForPictures([job.id], context, request, reply);
  const image = done?.images[0];
  const bytes = image && (await context.jobs.bytesOf(image));
  if (!done || !bytes) throw new ServiceError("internal", "The picture is not in the storage any more.");
  const base64 = bytes.toString("base64");
  return {
    success: true,
    image: `data:image/png;base64,${base64}`,
    image_base64: base64,
    prompt: job.request.prompt,
    seed: shownSeed(image.seed),
    refiner_applied: plan.refiner,
    face_restoration_applied: FACE_RESTORATION,
    hires_fix_applied: plan.hires,
    final_resolution: `${image.width}x${image.height}`,
    generation_time_seconds: Math.round((done.row.timings?.total_seconds ?? 0) * 100) / 100,
    model: plan.model.family === "sd15" ? "SD1.5" : "SDXL",
  };
}

async function health(context: ServerContext, ready: boolean): Promise<object> {
  const [worker] = context.supervisor ? [] : await context.workers.alive().catch(() => []);
  const device = context.supervisor?.about?.device ?? worker?.device ?? "";
  return {
    status: "healthy",
    model_loaded: ready,
    cuda_available: device.startsWith("cuda"),
    codeformer_available: FACE_RESTORATION,
    realesrgan_available: REAL_ESRGAN,
    vram_available: vramOf(context.supervisor?.memory ?? worker?.state.memory),
  };
}

const GIGABYTE = 1024 ** 3;

/** Free and whole memory of the device; of a device without memory of its own nothing of nothing, which clients can read too. */
function vramOf(memory: EngineMemory | unknown): string {
  const { deviceUsed, deviceTotal }: { deviceUsed?: unknown; deviceTotal?: unknown } =
    typeof memory === "object" && memory !== null ? memory : {};
  if (typeof deviceUsed !== "number" || typeof deviceTotal !== "number") return "0.0GB / 0.0GB";
  const show = (bytes: number) => `${(bytes / GIGABYTE).toFixed(1)}GB`;
  return `${show(deviceTotal - deviceUsed)} / ${show(deviceTotal)}`;
}

function sendFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = asServiceError(error);
  logFailure(refusal, error, request);
  if (refusal.retryAfter !== undefined) reply.header("retry-after", refusal.retryAfter);
  if (refusal.code === "unauthorized") reply.header("www-authenticate", 'Bearer realm="kiln"');
  return reply.code(refusal.status).send({ success: false, error: refusal.code, detail: refusal.message });
}
