/** Why a model could not be fetched or removed. */
export type PullErrorCode =
  | "invalid_request" // the source is none, or the settings do not fit it
  | "not_found" // the repository, revision, file or version is not there
  | "unauthorized" // it needs a token, or the token is wrong
  | "forbidden" // the token's account may not have it: terms to accept, early access
  | "no_safetensors" // it holds nothing that Kiln reads
  | "storage_full"
  | "hash_mismatch" // what arrived is not what the hub says it is
  | "unavailable" // the other side does not answer, or breaks off again and again
  | "conflict" // the model was not pulled by Kiln
  | "cancelled";

/** A download that ended before the model was there. The message is one sentence for people. */
export class PullError extends Error {
  override readonly name = "PullError";
  readonly code: PullErrorCode;

  constructor(code: PullErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
