import type {} from "@fastify/websocket";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../../auth/caller.ts";
import type { BusEvent } from "../../events/bus.ts";
import { isFinished } from "../../jobs/job-view.ts";
import type { ServerContext } from "../dialect.ts";
import { type Route, route } from "../route.ts";
import { idParams } from "./schemas.ts";

const HEARTBEAT_MILLISECONDS = 15_000;
/** A reader that is this far behind gets no previews, which are large and soon out of date. */
const SLOW_READER_BYTES = 512 * 1024;
/** And one that is this far behind is gone. */
const LOST_READER_BYTES = 8 * 1024 * 1024;

export interface StreamMessage {
  event: "job" | "progress" | "preview";
  data: unknown;
}

/** What callers see of an event on the bus; undefined for what is none of theirs. */
export async function messageFor(event: BusEvent, caller: Caller, context: ServerContext): Promise<StreamMessage | undefined> {
  if (!("owner" in event) || (caller.role !== "admin" && event.owner !== caller.owner)) return undefined;
  if (event.type === "progress") return { event: "progress", data: { job_id: event.job, ...event.progress } };
  if (event.type === "preview") return { event: "preview", data: { job_id: event.job, index: event.index, image: event.image } };
  const job = await context.jobs.get(event.job, caller).catch(() => undefined);
  return job && { event: "job", data: job };
}

async function streamJob(
  id: string,
  caller: Caller,
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const pending: BusEvent[] = [];
  let wake = () => {};
  const stop = context.bus.subscribe((event) => {
    if (!("owner" in event) || event.job !== id) return;
    pending.push(event);
    wake();
  });
  try {
    const first = await context.jobs.get(id, caller);
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...plainHeaders(reply),
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
    const write = (message: StreamMessage) => raw.write(`event: ${message.event}\ndata: ${JSON.stringify(message.data)}\n\n`);
    const beat = setInterval(() => raw.write(": still here\n\n"), HEARTBEAT_MILLISECONDS);
    request.raw.on("close", () => wake());
    raw.on("error", () => {});
    write({ event: "job", data: first });
    let ended = isFinished(first.status);
    while (!ended && !raw.destroyed && !request.raw.destroyed) {
      const event = pending.shift();
      if (!event) {
        // News from other processes can be lost; the record is asked now and then.
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 2000);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        if (pending.length > 0) continue;
        const now = await context.jobs.get(id, caller);
        if (isFinished(now.status)) {
          write({ event: "job", data: now });
          ended = true;
        }
        continue;
      }
      if (raw.writableLength > LOST_READER_BYTES) break;
      if (event.type === "preview" && raw.writableLength > SLOW_READER_BYTES) continue;
      const message = await messageFor(event, caller, context);
      if (!message) continue;
      write(message);
      ended = message.event === "job" && isStatusFinal(message.data);
    }
    clearInterval(beat);
    raw.end();
  } finally {
    stop();
  }
  return reply;
}

function isStatusFinal(data: unknown): boolean {
  return (
    typeof data === "object" &&
    data !== null &&
    "status" in data &&
    ["completed", "failed", "cancelled"].includes(String(data.status))
  );
}

/** Headers that hooks have set, which a hijacked answer does not send by itself. */
function plainHeaders(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
}

export const eventRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/jobs/{id}/events",
    summary: "A job's states, progress and previews as Server-Sent Events, until it ends",
    tag: "jobs",
    params: idParams,
    answers: { 200: { description: "Events job, progress and preview", contentType: "text/event-stream" } },
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
    const stop = context.bus.subscribe((event) => {
      void messageFor(event, caller, context).then((message) => {
        if (message && socket.readyState === socket.OPEN) send(message);
      });
    });
    const beat = setInterval(() => socket.ping(), HEARTBEAT_MILLISECONDS);
    socket.on("close", () => {
      stop();
      clearInterval(beat);
    });
    socket.on("error", () => socket.terminate());
  });
}
