import { STATUS_CODES } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { codeOf, messageOf, ServiceError } from "../errors.ts";
import { withoutPaths } from "../private-paths.ts";

/** RFC 9457. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  field: z.string().optional(),
  request_id: z.string(),
  error: z
    .object({ message: z.string(), type: z.string(), code: z.string(), param: z.string().nullable() })
    .optional()
    .meta({ description: "The same for OpenAI's clients, at the addresses that are theirs too" }),
});

/**
 * Anything that was thrown, as a refusal that may be shown: every face answers with this. What was not meant for callers
 * is said to be internal, and where files lie on this machine is not said.
 */
export function asServiceError(error: unknown): ServiceError {
  const refusal = classify(error);
  const message = withoutPaths(refusal.message);
  if (message === refusal.message) return refusal;
  const { code, field, retryAfter } = refusal;
  return new ServiceError(code, message, {
    ...(field === undefined ? {} : { field }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    cause: error,
  });
}

function classify(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  const code = codeOf(error) ?? "";
  const status =
    typeof error === "object" && error !== null && "statusCode" in error && typeof error.statusCode === "number"
      ? error.statusCode
      : 500;
  if (status === 413) return new ServiceError("too_large", "The body is larger than this server takes.", { cause: error });
  if (status === 415)
    return new ServiceError("unsupported_media_type", "The Content-Type is not one that this address takes.", { cause: error });
  if (status === 404) return new ServiceError("not_found", messageOf(error), { cause: error });
  if (status >= 400 && status < 500) return new ServiceError("malformed", messageOf(error), { cause: error });
  if (BROKEN_FORM.test(messageOf(error)))
    return new ServiceError("malformed", "The form ends before it is whole, or is no multipart form.", { cause: error });
  if (AWAY.has(code) || AWAY_WORDS.test(messageOf(error))) {
    return new ServiceError("unavailable", "A part of the service is away for the moment; try again.", {
      retryAfter: 5,
      cause: error,
    });
  }
  if (UNSTORABLE.has(code)) {
    return new ServiceError(
      "invalid_request",
      "The request holds a value that cannot be stored: a NUL, half a character, or a number out of range.",
      {
        cause: error,
      },
    );
  }
  return new ServiceError("internal", "Something went wrong inside; the log has it under this request id.", { cause: error });
}

/** What the multipart parser says of a body that is cut off or garbled, or of a boundary ("needle") too long; it gives no status and no code. */
const BROKEN_FORM =
  /unexpected end of (?:multipart data|form)|Boundary not found|The needle cannot|Malformed part header|Missing Content-Type/i;

/** Errors of a server that restarts or cannot be reached: sockets, and PostgreSQL's class 57P. */
const AWAY = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "57P01",
  "57P02",
  "57P03",
  "53300",
]);

/** Of drivers that give no code: pg's and ioredis's. */
const AWAY_WORDS =
  /Connection terminated|Connection is closed|timeout exceeded when trying to connect|Stream isn't writeable|max retries per request|Command timed out/;

/** PostgreSQL's words for values that no column takes: NUL and lone surrogates in text, numbers beyond the type. */
const UNSTORABLE = new Set(["22021", "22P05", "22P02", "22003"]);

/** Where OpenAI's clients look for models: they show nobody an error that has no `error` in it. */
const MODELS = /^\/v1\/models(?:[/?]|$)/;

/** The native API's error answer. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = asServiceError(error);
  logFailure(refusal, error, request);
  const { code, status, message, field, retryAfter } = refusal;
  if (retryAfter !== undefined) reply.header("retry-after", retryAfter);
  if (code === "unauthorized") reply.header("www-authenticate", 'Bearer realm="kiln"');
  const type = `urn:kiln:error:${code}`;
  const problem: z.output<typeof problemSchema> = {
    type,
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: message,
    code,
    ...(field === undefined ? {} : { field }),
    request_id: request.id,
    ...(MODELS.test(request.url) ? { error: { message, type, code, param: field ?? null } } : {}),
  };
  // Serialised here: the answer's own schema is that of the success.
  return reply.code(status).type("application/problem+json").send(JSON.stringify(problem));
}

/** What is not the caller's doing is for the operator to see. */
export function logFailure(refusal: ServiceError, error: unknown, request: FastifyRequest): void {
  if (refusal.code === "unavailable" || refusal.code === "storage_full")
    request.log.warn({ reason: messageOf(error) }, refusal.message);
  else if (refusal.code === "internal") request.log.error({ err: error }, refusal.message);
}
