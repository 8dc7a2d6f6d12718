import type { FastifyReply, FastifyRequest } from "fastify";
import type { ServiceError, ServiceErrorCode } from "../../errors.ts";
import { asServiceError, logFailure } from "../../http/problem.ts";

export interface OpenAiError {
  message: string;
  type: string;
  code: string | null;
  param: string | null;
}

/** OpenAI's own codes, which its clients know, where it has one. */
const CODES: Partial<Record<ServiceErrorCode, string>> = {
  invalid_request: "invalid_value",
  malformed: "invalid_json",
  content_policy: "content_policy_violation",
  unauthorized: "invalid_api_key",
  rate_limited: "rate_limit_exceeded",
  queue_full: "rate_limit_exceeded",
  quota_exceeded: "insufficient_quota",
  picture_invalid: "invalid_image_file",
  internal: "server_error",
};

/** The contract's names for fields of the native request. */
const PARAMS: Readonly<Record<string, string>> = {
  width: "size",
  height: "size",
  strength: "input_fidelity",
  steps: "quality",
  output: "output_format",
};

/** A refusal in OpenAI's form. */
export function asOpenAiError({ code, status, message, field }: ServiceError): { status: number; error: OpenAiError } {
  const [first = ""] = (field ?? "").split(".");
  return {
    // Their clients take 404 for an address that is not there, and do not know 422.
    status: status === 422 || status === 409 ? 400 : status,
    error: {
      message,
      type: typeOf(status),
      code: CODES[code] ?? code,
      param: field === undefined ? null : (PARAMS[first] ?? first),
    },
  };
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

export function sendOpenAiError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = asServiceError(error);
  logFailure(refusal, error, request);
  if (refusal.retryAfter !== undefined) reply.header("retry-after", refusal.retryAfter);
  if (refusal.code === "unauthorized") reply.header("www-authenticate", 'Bearer realm="kiln"');
  const { status, error: shown } = asOpenAiError(refusal);
  return reply.code(status).send({ error: shown });
}
