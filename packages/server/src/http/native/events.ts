import type {} from "@fastify/websocket";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../../auth/caller.ts";
import { messageOf } from "../../errors.ts";
import type { BusEvent } from "../../events/bus.ts";
import { isFinished, type JobView } from "../../jobs/job-view.ts";
import type { ServerContext } from "../dialect.ts";
import { EventStream } from "../event-stream.ts";
import { keepSocket } from "../keep-socket.ts";
import { type Route, route } from "../route.ts";
import { JobFeed } from "./job-feed.ts";
import { idParams } from "./schemas.ts";

/** A reader that is this far behind gets no previews, which are large and soon out of date. */
const SLOW_READER_BYTES = 512 * 1024;
/** And one that is this far behind is gone. */
const LOST_READER_BYTES = 8 * 1024 * 1024;

interface StreamMessage {
  event: "job" | "progress" | "preview";
  data: unknown;
}

/** What callers see of an event on the bus; undefined for what is none of theirs. */
async function messageFor(event: BusEvent, caller: Caller, context: ServerContext): Promise<StreamMessage | undefined> {
  if (!("owner" in event) || (caller.role !== "admin" && event.owner !== caller.owner)) return undefined;
  if (event.type === "progress") return { event: "progress", data: { job_id: event.job, ...event.progress } };
  if (event.type === "preview") return { event: "preview", data: { job_id: event.job, index: event.index, image: event.image } };
  const job = await context.jobs.get(event.job, caller).catch(() => undefined);
  return job && { event: "job", data: job };
}

/** The name of a job's state for readers that come back. */
function stateId({ id, status, attempts }: JobView): string {
  return `${id}.${status}.${attempts}`;
}

async function streamJob(
  id: string,
  caller: Caller,
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // Before the look at the record, so that nothing falls between the two.
  const feed = new JobFeed(id, context.bus);
  try {
    const job = await context.jobs.get(id, caller);
    // A browser comes back whenever a stream ends; this answer tells it that there is nothing more to come for.
    if (isFinished(job.status) && request.headers["last-event-id"] === stateId(job)) return await reply.code(204).send();
    const stream = new EventStream(reply);
    stream.onClose(() => feed.wake());
    try {
      await tell(stream, feed, job, caller, context);
    } catch (error) {
      request.log.warn({ reason: messageOf(error) }, "a stream of events ends early");
    } finally {
      stream.end();
    }
    return reply;
  } finally {
    feed.stop();
  }
}

/** Sends what happens to a job until it has ended or its reader has gone. Raises when the records do not answer. */
async function tell(stream: EventStream, feed: JobFeed, first: JobView, caller: Caller, context: ServerContext): Promise<void> {
  stream.send("job", first, stateId(first));
  let ended = isFinished(first.status);
  while (!ended && !stream.isClosed && stream.backlogBytes <= LOST_READER_BYTES) {
    const event = await feed.next();
    if (event?.type === "progress" || event?.type === "preview") {
      const message = await messageFor(event, caller, context);
      if (message && (event.type !== "preview" || stream.backlogBytes <= SLOW_READER_BYTES))
        stream.send(message.event, message.data);
      continue;
    }
    // News from other processes can be lost, so the record is asked now and then too.
    const job = await context.jobs.get(first.id, caller);
    ended = isFinished(job.status);
    if (event || ended) stream.send("job", job, stateId(job));
  }
}

export const eventRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/jobs/{id}/events",
    summary: "A job's states, progress and previews as Server-Sent Events, until it ends",
    tag: "jobs",
    params: idParams,
    headers: { "Last-Event-ID": "The id of the last event of an earlier stream: nothing is sent where that was the job's end" },
    answers: {
      200: { description: "Events job, progress and preview", contentType: "text/event-stream" },
      204: { description: "The job has ended, and Last-Event-ID says that its reader knows" },
    },
    handle: async ({ params, caller, context, request, reply }) => await streamJob(params.id, caller, context, request, reply),
  }),
];

/** `GET /v1/events`: the same messages for all of the caller's jobs, over a WebSocket. */
export function registerEventSocket(app: FastifyInstance, context: ServerContext): void {
  app.get("/v1/events", { websocket: true }, (socket, request) => {
    const { caller } = request;
    const send = (message: StreamMessage) => {
      if (socket.bufferedAmount > LOST_READER_BYTES) socket.terminate();
      else if (message.event !== "preview" || socket.bufferedAmount < SLOW_READER_BYTES) socket.send(JSON.stringify(message));
    };
    // One after another: a job's record takes longer to read than a step to tell of, and may not come after its steps.
    let told = Promise.resolve();
    const tellOf = async (event: BusEvent) => {
      const message = await messageFor(event, caller, context);
      if (message && socket.readyState === socket.OPEN) send(message);
    };
    const stop = context.bus.subscribe((event) => {
      told = told.then(async () => await tellOf(event));
    });
    keepSocket(socket, request);
    socket.on("close", stop);
  });
}
