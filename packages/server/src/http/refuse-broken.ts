import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { codeOf } from "../errors.ts";

const BROKEN: readonly [number, string] = [400, "The request ends before it is whole, or is no HTTP."];
/** What Node's parser says of requests that are not broken. */
const REASONS: ReadonlyMap<string, readonly [number, string]> = new Map([
  ["ERR_HTTP_REQUEST_TIMEOUT", [408, "The request took too long to arrive."]],
  ["HPE_HEADER_OVERFLOW", [431, "The address or a header is too long."]],
]);

/**
 * Answers what the HTTP parser refuses. Nobody knows then which route was meant, so the body has the fields that
 * clients of every contract look for.
 */
export function refuseBroken(error: Error, socket: Socket): void {
  const code = codeOf(error) ?? "";
  if (code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const [status, detail] = REASONS.get(code) ?? BROKEN;
  const body = JSON.stringify(bodyOf(detail));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

/** The same for an address that the router cannot read. */
export function refuseAddress({ statusCode = 400 }: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  reply.code(statusCode).send(bodyOf(statusCode === 414 ? "A part of the address is too long." : "The address is no valid URL."));
}

function bodyOf(detail: string): object {
  return { success: false, error: "malformed", detail };
}
