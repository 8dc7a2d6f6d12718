/**
 * Every error that Kiln raises on purpose. The code is stable and is what programs test;
 * the message is one sentence for people that names the thing and says what to do.
 */
export class KilnError extends Error {
  override readonly name = "KilnError";
  readonly code: ErrorCode;
  /** The request field or file that is at fault, where there is one. */
  readonly subject: string | undefined;

  constructor(code: ErrorCode, message: string, options?: { subject?: string; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.subject = options?.subject;
  }
}

/** What went wrong, by kind. `docs/errors.md` lists each with its meaning. */
export const ERROR_CODES = [
  "file_not_found", // a file or folder that was named is not there or cannot be read
  "file_corrupt", // the bytes are not what the format says: truncated, a header that lies, not JSON
  "file_unsupported", // well formed, but not a kind that Kiln reads (pickle, GGUF, unknown dtype)
  "checkpoint_unknown", // the tensors belong to no network that Kiln knows
  "checkpoint_incomplete", // tensors are missing, or have the wrong shape
  "adapter_mismatch", // a LoRA, ControlNet or embedding for another architecture
  "invalid_request", // a field of a request is out of range or contradicts another
  "picture_invalid", // a picture that cannot be decoded, or is too large
  "numeric", // NaN or infinity where there should be numbers
  "out_of_memory", // will not fit, or did not fit
  "backend_unavailable", // a library or device is missing
  "backend_failed", // the library below refused or crashed
  "cancelled", // the caller's AbortSignal
  "not_built", // planned, and not there yet
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];
