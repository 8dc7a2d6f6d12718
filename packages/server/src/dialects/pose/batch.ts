import type { FastifyReply, FastifyRequest } from "fastify";
import type { ServerContext } from "../../http/dialect.ts";
import { asServiceError, logFailure } from "../../http/problem.ts";
import { baseUrlOf, signalOf } from "../../http/request-context.ts";
import { failureOf, waitOrCancel } from "../draw-now.ts";
import { type PoseRequest, toNative } from "./request.ts";

type BatchResult =
  | { status: "success"; image_path: string; generation_time: number; prompt: string }
  | { status: "error"; error: string; prompt: string };

/** Draws a list of requests, some at a time; one that fails does not stop the others. */
export async function drawBatch(
  items: readonly PoseRequest[],
  atOnce: number,
  request: FastifyRequest,
  reply: FastifyReply,
  context: ServerContext,
): Promise<{ total: number; successful: number; failed: number; results: BatchResult[] }> {
  const signal = signalOf(request, reply);
  const results: BatchResult[] = [];
  for (let from = 0; from < items.length; from += atOnce) {
    signal.throwIfAborted();
    const group = items.slice(from, from + atOnce);
    results.push(...(await Promise.all(group.map((item) => drawItem(item, request, signal, context)))));
  }
  const successful = results.filter(({ status }) => status === "success").length;
  return { total: items.length, successful, failed: items.length - successful, results };
}

async function drawItem(
  item: PoseRequest,
  request: FastifyRequest,
  signal: AbortSignal,
  context: ServerContext,
): Promise<BatchResult> {
  const { jobs, catalogue } = context;
  const { caller } = request;
  try {
    const native = toNative(item, undefined, catalogue.default(), context);
    const job = await jobs.submit(native, caller, { dialect: "pose" });
    const { row, images } = await waitOrCancel(job.id, context, caller, signal);
    const [image] = images;
    if (row.status !== "completed" || !image) throw failureOf(row.error, row.status);
    return {
      status: "success",
      image_path: await jobs.addressOf(image, baseUrlOf(request, context)),
      generation_time: Math.round((row.timings?.total_seconds ?? 0) * 100) / 100,
      prompt: item.prompt,
    };
  } catch (error) {
    const refusal = asServiceError(error);
    if (!signal.aborted) logFailure(refusal, error, request);
    return { status: "error", error: refusal.message, prompt: item.prompt };
  }
}
