import type { FastifyReply } from "fastify";

/** A1111 answers `null` where it has nothing to say, and its clients parse that. */
export function sendNull(reply: FastifyReply): FastifyReply {
  return reply.type("application/json; charset=utf-8").send("null");
}
