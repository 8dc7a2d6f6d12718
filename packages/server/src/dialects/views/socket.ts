import type { WebsocketHandler } from "@fastify/websocket";
import type { FastifyInstance } from "fastify";
import { messageOf, ServiceError } from "../../errors.ts";
import type { BusEvent } from "../../events/bus.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { keepSocket } from "../../http/keep-socket.ts";
import { baseUrlOf } from "../../http/request-context.ts";
import type { Accounts } from "./accounts.ts";
import { showJob, showProgress } from "./show.ts";
import type { ViewJobs } from "./view-jobs.ts";

/** A reader who is this far behind is gone. */
const LOST_READER_BYTES = 8 * 1024 * 1024;

interface Listener {
  owner: string;
  base: string;
  send(message: object): void;
}

/** `/ws/jobs/`: what happens to the caller's jobs. The records are kept up to date by the same news. */
export function registerSocket(app: FastifyInstance, viewJobs: ViewJobs, accounts: Accounts, context: ServerContext): void {
  const listeners = new Set<Listener>();
  const config = { identify: (credential: string) => accounts.callerOf(credential) };
  const stop = context.bus.subscribe((event) => {
    tell(event, listeners, viewJobs, context).catch((error: unknown) =>
      context.log.warn({ reason: messageOf(error) }, "news of a job is lost; its record is asked with the next request"),
    );
  });
  app.addHook("onClose", async () => stop());

  const wsHandler: WebsocketHandler = (socket, request) => {
    const listener: Listener = {
      owner: request.caller.owner,
      base: baseUrlOf(request, context),
      send(message) {
        if (socket.bufferedAmount > LOST_READER_BYTES) socket.terminate();
        else if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
      },
    };
    listeners.add(listener);
    keepSocket(socket, request);
    socket.on("close", () => listeners.delete(listener));
    listener.send({ type: "connection_established" });
  };
  const handler = async () => {
    throw new ServiceError("malformed", "This address is a WebSocket's: send Upgrade: websocket.");
  };
  for (const slash of ["/", ""]) app.route({ method: "GET", url: `/ws/jobs${slash}`, config, handler, wsHandler });
}

async function tell(
  event: BusEvent,
  listeners: ReadonlySet<Listener>,
  viewJobs: ViewJobs,
  context: ServerContext,
): Promise<void> {
  if (event.type !== "job" && event.type !== "progress") return;
  const concerned = [...listeners].filter(({ owner }) => owner === event.owner);
  if (event.type === "progress" && concerned.length === 0) return;
  // Without a reader, only news of the jobs that this process looks after is worth a look at the records.
  const found = await viewJobs.ofNative(event.job, concerned.length > 0);
  if (!found) return;
  if (event.type === "progress") {
    const progress = showProgress(found.view, event.progress);
    if (progress) for (const { send } of concerned) send({ type: "progress_update", job_id: found.id, progress });
    return;
  }
  const known = await viewJobs.find(found.id);
  if (!known) return await viewJobs.removeLeft(event.job, event.owner);
  const job = await viewJobs.refresh(known);
  for (const { send, base } of concerned) send({ type: "job_update", job: await showJob(job, base, context) });
}
