import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** A reader who takes not one byte for so long is gone. What was written for it, a picture perhaps, stays in memory until then. */
export const STALLED_MILLISECONDS = 120_000;

/**
 * Closes connections whose reader has stopped. Node says `timeout` where nothing moves in either direction, which is also
 * so while a client waits for an answer that takes its time: only that one is left alone.
 * @param milliseconds how long nothing may move
 */
export function closeStalledReaders(server: Server, milliseconds = STALLED_MILLISECONDS): void {
  const answers = new WeakMap<Socket, ServerResponse>();
  server.on("request", ({ socket }, response) => answers.set(socket, response));
  server.setTimeout(milliseconds, (socket) => {
    const answer = answers.get(socket);
    const isAwaited = answer !== undefined && !answer.writableEnded && socket.writableLength === 0;
    if (!isAwaited) socket.destroy();
  });
}
