import type { FastifyInstance } from "fastify";
import sharp from "sharp";
import { z } from "zod";
import type { Caller } from "../../auth/caller.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { parseFields } from "../field-errors.ts";
import { looseFlag } from "../loose.ts";
import { timestamp } from "./answer.ts";
import { type ActiveCall, type ActiveCalls, activeCallsOf } from "./calls.ts";
import { sendNull } from "./send-null.ts";

const progressQuery = z.object({ skip_current_image: looseFlag.optional() });
const taskSchema = z.object({
  id_task: z.string().max(200).nullish(),
  id_live_preview: z.number().nullish(),
  live_preview: looseFlag.nullish(),
});

const IDLE = {
  skipped: false,
  interrupted: false,
  stopping_generation: false,
  job: "",
  job_count: 0,
  job_timestamp: "0",
  job_no: 0,
  sampling_step: 0,
  sampling_steps: 0,
};

export function registerProgress(app: FastifyInstance, context: ServerContext): void {
  const calls = activeCallsOf(context);

  app.get("/sdapi/v1/progress", async (request) => {
    const { skip_current_image } = parseFields(progressQuery, request.query, "query");
    const [call] = calls.of(request.caller.owner);
    if (!call) return { progress: 0, eta_relative: 0, state: IDLE, current_image: null, textinfo: null };
    const { done, eta, step, steps } = measure(call, context);
    return {
      progress: done,
      eta_relative: eta,
      state: {
        skipped: call.skipped,
        interrupted: call.interrupted,
        stopping_generation: call.interrupted,
        job: call.task,
        job_count: call.jobs.length,
        job_timestamp: timestamp(call.startedAt),
        job_no: call.ended.size,
        sampling_step: step,
        sampling_steps: steps,
      },
      current_image: skip_current_image ? null : await pngOf(call.preview),
      textinfo: null,
    };
  });

  app.post("/sdapi/v1/interrupt", async (request) => {
    await stopAll(calls, request.caller, context);
    return {};
  });

  app.post("/sdapi/v1/skip", async (request, reply) => {
    const [call] = calls.of(request.caller.owner);
    const current = call?.jobs.find((id) => !call.ended.has(id));
    if (call && current !== undefined) {
      call.skipped = true;
      await context.jobs.cancel(current, request.caller);
    }
    return sendNull(reply);
  });

  registerTasks(app, calls, context);
}

/** What the web UI itself asks, by the name of a task. */
function registerTasks(app: FastifyInstance, calls: ActiveCalls, context: ServerContext): void {
  app.post("/internal/progress", async (request) => {
    const { id_task: task, id_live_preview, live_preview } = parseFields(taskSchema, request.body, "body");
    const { owner } = request.caller;
    const all = calls.of(owner);
    const call = all.find((each) => each.task === task);
    const active = call !== undefined && call === all[0];
    const nothing = { progress: null, eta: null, live_preview: null, id_live_preview: id_live_preview ?? -1 };
    if (!call || !active) {
      const completed = !call && calls.hasFinished(owner, task ?? "");
      const textinfo = call ? `In queue: ${all.indexOf(call) + 1}/${all.length}` : "Waiting...";
      return { active: false, queued: call !== undefined, completed, ...nothing, textinfo: completed ? null : textinfo };
    }
    const { done, eta } = measure(call, context);
    const fresh = live_preview !== false && call.previews !== id_live_preview;
    const png = fresh ? await pngOf(call.preview) : null;
    const preview = png === null ? {} : { live_preview: `data:image/png;base64,${png}`, id_live_preview: call.previews };
    return { active: true, queued: false, completed: false, ...nothing, progress: done, eta, ...preview, textinfo: null };
  });

  app.get("/internal/pending-tasks", async (request) => {
    const tasks = calls.of(request.caller.owner).map(({ task }) => task);
    return { size: tasks.length, tasks };
  });
}

async function stopAll(calls: ActiveCalls, caller: Caller, context: ServerContext): Promise<void> {
  for (const call of calls.of(caller.owner)) {
    call.interrupted = true;
    for (const id of call.jobs) if (!call.ended.has(id)) await context.jobs.cancel(id, caller);
  }
}

/** How far a call is, 0 to 1, and the seconds that are left as far as they are known. A call that waits is a little above 0. */
function measure(call: ActiveCall, { jobs }: ServerContext): { done: number; eta: number; step: number; steps: number } {
  const running = call.jobs.filter((id) => !call.ended.has(id)).map((id) => jobs.progressOf(id));
  const parts = call.ended.size + running.reduce((sum, progress) => sum + (progress?.percent ?? 0) / 100, 0);
  const current = running.find((progress) => progress !== undefined);
  return {
    done: Math.min(1, 0.01 + (0.99 * parts) / call.jobs.length),
    eta: Math.max(0, ...running.map((progress) => progress?.eta_seconds ?? 0)),
    step: current?.step ?? 0,
    steps: current?.total_steps ?? 0,
  };
}

/** A1111's clients take the preview for a PNG. */
async function pngOf(preview: string | undefined): Promise<string | null> {
  if (preview === undefined) return null;
  const bytes = Buffer.from(preview.slice(preview.indexOf(",") + 1), "base64");
  return (await sharp(bytes).png().toBuffer()).toString("base64");
}
