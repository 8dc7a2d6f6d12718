import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ServerContext } from "../../http/dialect.ts";
import { signalOf } from "../../http/request-context.ts";
import { newId } from "../../jobs/ids.ts";
import type { JobWithImages } from "../../jobs/job-service.ts";
import { failureOf, waitOrCancel } from "../draw-now.ts";
import { parseFields } from "../field-errors.ts";
import { infoOf, picturesOf } from "./answer.ts";
import { type ActiveCall, activeCallsOf } from "./calls.ts";
import { img2imgSchema, txt2imgSchema } from "./fields.ts";
import type { OptionsStore } from "./options.ts";
import { type Plan, planImage, planText } from "./to-native.ts";

export function registerGeneration(app: FastifyInstance, context: ServerContext, options: OptionsStore): void {
  app.post("/sdapi/v1/txt2img", async (request, reply) => {
    const fields = parseFields(txt2imgSchema, request.body, "body");
    const plan = await planText(fields, await options.read(request.caller.owner), request.caller, context);
    const done = await draw(plan, fields.force_task_id, context, request, reply);
    return {
      images: fields.send_images === false ? [] : await picturesOf(done, context),
      parameters: z.record(z.string(), z.unknown()).parse(request.body),
      info: infoOf(plan, done, context),
    };
  });

  app.post("/sdapi/v1/img2img", async (request, reply) => {
    const fields = parseFields(img2imgSchema, request.body, "body");
    const plan = await planImage(fields, await options.read(request.caller.owner), request.caller, context);
    const done = await draw(plan, fields.force_task_id, context, request, reply);
    const parameters = z.record(z.string(), z.unknown()).parse(request.body);
    return {
      images: fields.send_images === false ? [] : await picturesOf(done, context),
      parameters: fields.include_init_images === true ? parameters : { ...parameters, init_images: null, mask: null },
      info: infoOf(plan, done, context),
    };
  });
}

/** Draws a call's pictures. One that is interrupted answers with those that are there. */
async function draw(
  plan: Plan,
  task: string | null | undefined,
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<JobWithImages[]> {
  const { caller } = request;
  const signal = signalOf(request, reply);
  const jobs = await context.jobs.submitAll(plan.requests, caller, { dialect: "a1111" });
  const calls = activeCallsOf(context);
  const ids = jobs.map(({ id }) => id);
  const call = calls.begin(caller.owner, task || `task(${newId("a1111")})`, ids);
  try {
    return await Promise.all(
      ids.map(async (id) => {
        const found = await waitOrCancel(id, context, caller, signal);
        call.ended.add(id);
        if (found.row.status !== "completed" && !wasStopped(call, found)) throw failureOf(found.row.error, found.row.status);
        return found;
      }),
    );
  } finally {
    calls.end(call);
  }
}

function wasStopped({ interrupted, skipped }: ActiveCall, { row }: JobWithImages): boolean {
  return row.status === "cancelled" && (interrupted || skipped);
}
