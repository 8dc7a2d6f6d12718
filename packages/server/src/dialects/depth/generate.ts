import type { FastifyReply, FastifyRequest } from "fastify";
import { ServiceError, type ServiceErrorCode } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { secondsOnEngine, shownSeed } from "../../jobs/job-view.ts";
import type { ImageRow, JobRow } from "../../records/job-store.ts";
import { waitForPictures } from "../draw-now.ts";
import type { DepthRequest } from "./request.ts";
import { type Translated, translate } from "./to-native.ts";

/** The contract's answer, with and without a picture. */
export interface GenerateAnswer {
  success: boolean;
  image_b64: string | null;
  error_message: string | null;
  generation_time: number | null;
  seed_used: number | string | null;
  model_used: string | null;
  era_used: string | null;
  metadata: Record<string, unknown>;
}

/**
 * Draws a request while its client waits. What is not installed is told in `error_message`, with status 200.
 * `onAccepted` hears the workload units of the job.
 */
export async function generate(
  body: DepthRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  context: ServerContext,
  onAccepted: (workload: number) => void = () => {},
): Promise<GenerateAnswer> {
  const era = body.era ? body.era : null;
  try {
    const translated = await translate(body, context);
    const { id, workload } = await context.jobs.submit(translated.native, request.caller, { dialect: "depth" });
    onAccepted(workload);
    const used = translated.model.used;
    const ended = await waitForPictures([id], context, request, reply).catch((error: unknown) => asEnd(error));
    if (ended instanceof ServiceError) return failure(ended.message, used, era);
    const [done] = ended;
    const image = done?.images[0];
    const bytes = image && (await context.jobs.bytesOf(image));
    if (!image || !bytes) return failure("The picture is not in the storage any more.", used, era);
    return answerOf({ row: done.row, image }, bytes, translated, body, era);
  } catch (error) {
    if (error instanceof ServiceError && NOT_INSTALLED.has(error.code)) return failure(error.message, body.model ?? null, era);
    throw error;
  }
}

/** A job that ended without a picture is an answer of this contract, not an error. */
function asEnd(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  throw error;
}

const NOT_INSTALLED: ReadonlySet<string> = new Set<ServiceErrorCode>(["model_not_found", "model_incompatible"]);

function answerOf(
  { row, image }: { row: JobRow; image: ImageRow },
  bytes: Buffer,
  { model, depth, controlnet, notes }: Translated,
  body: DepthRequest,
  era: string | null,
): GenerateAnswer {
  const { request, timings } = row;
  return {
    success: true,
    image_b64: bytes.toString("base64"),
    error_message: null,
    generation_time: timings ? Math.round(secondsOnEngine(timings) * 1000) / 1000 : 0,
    seed_used: shownSeed(image.seed),
    model_used: model.used,
    era_used: era,
    metadata: {
      job_id: row.id,
      steps: request.steps,
      cfg: request.guidance_scale,
      scheduler: request.scheduler,
      depth,
      controlnet,
      controlnet_strength: body.controlnet_strength,
      control_guidance_start: body.control_guidance_start,
      control_guidance_end: body.control_guidance_end,
      lora_strength: body.lora_strength,
      loras: request.loras.map(({ name, weight }) => ({ name, strength: weight })),
      checkpoint: request.model,
      width: image.width,
      height: image.height,
      format: image.format,
      workload: row.workload,
      notes: [...notes, ...row.warnings],
    },
  };
}

function failure(message: string, model: string | null, era: string | null): GenerateAnswer {
  return {
    success: false,
    image_b64: null,
    error_message: message,
    generation_time: null,
    seed_used: null,
    model_used: model,
    era_used: era,
    metadata: {},
  };
}
