import type { FastifyReply, FastifyRequest } from "fastify";
import { ServiceError } from "../errors.ts";
import type { ServerContext } from "./dialect.ts";

/** A signal that is aborted when the client goes away before it has its answer. */
export function signalOf(request: FastifyRequest, reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) controller.abort(new ServiceError("conflict", "The client went away."));
  });
  if (request.raw.destroyed && !request.raw.complete) controller.abort(new ServiceError("conflict", "The client went away."));
  return controller.signal;
}

/** The address that the client knows this server by, without a slash at its end. */
export function baseUrlOf(request: FastifyRequest, { settings }: ServerContext): string {
  const configured = settings.KILN_PUBLIC_URL ?? settings.MODEL_SERVER_URL;
  return (configured ?? `${request.protocol}://${request.host}`).replace(/\/$/, "");
}
