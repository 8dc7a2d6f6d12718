import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
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
  const body = JSON.stringify({ success: false, error: "malformed", detail });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
