import type { FastifyInstance } from "fastify";
import { ServiceError } from "../errors.ts";
import { MAX_BODY_BYTES } from "../jobs/limits.ts";
import type { ServerContext } from "./dialect.ts";

/** Large bodies that are in memory at once, until they are answered; one takes twice its size again while it is read. */
const MAX_HELD_BYTES = 1024 ** 3;
/** Smaller ones are not counted: requests without pictures have some kilobytes. */
const LARGE_BYTES = 1024 ** 2;
const RETRY_SECONDS = 5;

interface Held {
  bytes: number;
}

const known = new WeakMap<ServerContext, Held>();

/** Refuses large bodies while too many are in memory, over all listeners. */
export function boundBodies(app: FastifyInstance, context: ServerContext): void {
  const held = known.get(context) ?? { bytes: 0 };
  known.set(context, held);
  app.addHook("preParsing", async ({ headers }, reply) => {
    const length = Number(headers["content-length"] ?? (headers["transfer-encoding"] === undefined ? 0 : MAX_BODY_BYTES));
    if (length <= LARGE_BYTES) return;
    // Beyond the limit of one body the parser refuses it, in its own words.
    const bytes = Math.min(length, MAX_BODY_BYTES);
    if (held.bytes + bytes > MAX_HELD_BYTES)
      throw new ServiceError("unavailable", "Too many large bodies are being read; try again in some seconds.", {
        retryAfter: RETRY_SECONDS,
      });
    held.bytes += bytes;
    reply.raw.once("close", () => {
      held.bytes -= bytes;
    });
  });
}
