/**
 * Every refusal that the service makes on purpose, in the words of the HTTP answer.
 * The code is stable and is what programs test; the message is one sentence for people.
 */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: ServiceErrorCode;
  readonly status: number;
  /** The request's field that is at fault, as a dotted path. */
  readonly field: string | undefined;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | undefined;

  constructor(code: ServiceErrorCode, message: string, options: { field?: string; retryAfter?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = SERVICE_ERRORS[code];
    this.field = options.field;
    this.retryAfter = options.retryAfter;
  }
}

/** Each code with its HTTP status. */
export const SERVICE_ERRORS = {
  malformed: 400, // the body is not what its content type says
  invalid_request: 422, // a field is missing, of the wrong type or out of range
  model_not_found: 422, // the request names a model, LoRA or ControlNet that is not installed
  model_incompatible: 422, // the model is there, but cannot do what the request asks of it
  picture_invalid: 422, // a picture that cannot be decoded, or is too large
  content_policy: 400, // the content policy refuses the prompt
  unauthorized: 401,
  forbidden: 403,
  origin_refused: 403, // a browser on another site, or a Host that is not ours
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409, // the thing is in another state than the request needs
  idempotency_mismatch: 422, // the same idempotency key with another body
  too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  quota_exceeded: 429,
  queue_full: 429,
  not_supported: 501, // known, and not part of this build or of what is installed
  storage_full: 507,
  unavailable: 503, // a part that is needed (database, queue, storage, engine) is away for now
  internal: 500,
} as const;

export type ServiceErrorCode = keyof typeof SERVICE_ERRORS;

/** Why a job ended without its pictures. These are stored in the job, not sent as a status. */
export type JobErrorCode =
  | "engine_crashed" // the engine process died twice with this job in flight
  | "out_of_memory"
  | "deadline_exceeded"
  | "attempts_exhausted"
  | "generation_failed"
  | string;

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The stable code that an error carries (KilnError, ServiceError, or Node's own), or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
