import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import { isOpen, PULL_STATUSES, type PullView } from "../../models/pull/pulls.ts";
import type { ServerContext } from "../dialect.ts";
import { EventStream } from "../event-stream.ts";
import { type Route, type RouteInput, route } from "../route.ts";
import { idParams } from "./schemas.ts";

/** A reader that is this far behind is gone: an event has half a kilobyte. */
const LOST_READER_BYTES = 1024 * 1024;

const pullSchema = z.object({
  id: z.string(),
  source: z.string(),
  status: z.enum(PULL_STATUSES),
  created_at: z.iso.datetime(),
  finished_at: z.iso.datetime().optional(),
  file: z.string().optional(),
  files_done: z.int(),
  files_total: z.int(),
  bytes_done: z.int(),
  bytes_total: z.int(),
  bytes_per_second: z.int().optional(),
  eta_seconds: z.int().optional(),
  models: z.array(z.string()),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
const PULL = { description: "The download", schema: pullSchema };

type Input = RouteInput<{ id: string }, unknown, unknown>;

async function streamPull({ params, context, reply }: Input) {
  const pulls = pullsOf(context);
  const first = pulls.get(params.id);
  const stream = new EventStream(reply);
  await new Promise<void>((resolve) => {
    const tell = (view: PullView) => {
      stream.send("pull", view);
      if (!isOpen(view) || stream.backlogBytes > LOST_READER_BYTES) resolve();
    };
    const stop = pulls.follow(params.id, tell);
    stream.onClose(() => {
      stop();
      resolve();
    });
    tell(first);
  });
  stream.end();
  return reply;
}

function pullsOf({ pulls }: ServerContext) {
  if (!pulls) throw new ServiceError("not_supported", "This process downloads no models.");
  return pulls;
}

/** Model downloads: all of them need the admin role, because they fill the disk and decide what is drawn. */
export const pullRoutes: Route[] = [
  route({
    method: "POST",
    path: "/v1/models/pull",
    summary: "Download a model from the Hugging Face hub or Civitai",
    tag: "models",
    admin: true,
    body: z.object({
      source: z.string().min(1).max(1000).meta({
        description: "org/name, org/name@revision, org/name:file.safetensors, civitai:VERSION, or the address of a model's page",
      }),
      into: z
        .enum(["cache", "models"])
        .optional()
        .meta({ description: "The Hugging Face cache or MODELS_DIR; the cache where HF_HOME is set when left out" }),
    }),
    answers: { 202: PULL },
    async handle({ body, context, reply }) {
      const pull = pullsOf(context).start(body.source, body.into);
      reply.code(202).header("location", `/v1/models/pulls/${pull.id}`);
      return pull;
    },
  }),
  route({
    method: "GET",
    path: "/v1/models/pulls",
    summary: "Downloads of this process, newest first",
    tag: "models",
    admin: true,
    answers: { 200: { description: "The downloads", schema: z.object({ data: z.array(pullSchema) }) } },
    handle: async ({ context }) => ({ data: pullsOf(context).list() }),
  }),
  route({
    method: "GET",
    path: "/v1/models/pulls/{id}",
    summary: "One download",
    tag: "models",
    admin: true,
    params: idParams,
    answers: { 200: PULL },
    handle: async ({ params, context }) => pullsOf(context).get(params.id),
  }),
  route({
    method: "GET",
    path: "/v1/models/pulls/{id}/events",
    summary: "A download's progress as Server-Sent Events, until it ends",
    tag: "models",
    admin: true,
    params: idParams,
    answers: { 200: { description: "Events pull", contentType: "text/event-stream" } },
    handle: async (input) => await streamPull(input),
  }),
  route({
    method: "POST",
    path: "/v1/models/pulls/{id}/cancel",
    summary: "Stop a download; what has arrived is kept for the next one",
    tag: "models",
    admin: true,
    params: idParams,
    answers: { 200: PULL },
    handle: async ({ params, context }) => pullsOf(context).cancel(params.id),
  }),
  route({
    method: "DELETE",
    path: "/v1/models/{id}",
    summary: "Remove the files of a model that was pulled",
    tag: "models",
    admin: true,
    params: idParams,
    answers: {
      200: { description: "They are gone", schema: z.object({ id: z.string(), bytes: z.number() }) },
      409: { description: "The model was not pulled", contentType: "application/problem+json" },
    },
    async handle({ params, context }) {
      const model = context.catalogue.get(params.id);
      if (!model) throw new ServiceError("not_found", `There is no model "${params.id}".`);
      const pulls = pullsOf(context);
      // Told first: afterwards the workers' catalogues do not know the name any more.
      if (model.kind === "checkpoint") context.bus.publish({ type: "model", action: "unload", model: model.id });
      const bytes = await pulls.remove(model);
      return { id: model.id, bytes };
    },
  }),
];
