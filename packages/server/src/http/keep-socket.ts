import type { WebSocket } from "@fastify/websocket";
import type { FastifyRequest } from "fastify";
import { HEARTBEAT_MILLISECONDS } from "./event-stream.ts";

/** RFC 6455's code for a reader who may not stay. */
const POLICY_VIOLATION = 1008;

/** Keeps a WebSocket open with a ping now and then, for as long as whoever opened it would be let in. */
export function keepSocket(socket: WebSocket, request: FastifyRequest): void {
  const keepOpen = async () => {
    if (await request.isStillAdmitted()) socket.ping();
    else socket.close(POLICY_VIOLATION, "The key or token is not valid any more.");
  };
  const beat = setInterval(() => void keepOpen(), HEARTBEAT_MILLISECONDS);
  socket.on("close", () => clearInterval(beat));
  socket.on("error", () => socket.terminate());
}
