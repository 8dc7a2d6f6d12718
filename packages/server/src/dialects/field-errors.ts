import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ServiceError } from "../errors.ts";
import { asServiceError, logFailure } from "../http/problem.ts";
import { wordsOfIssue } from "../issue-words.ts";
import { findUnstorable } from "../jobs/parse.ts";
import { NUMBER } from "./loose.ts";

/** One entry of the `detail` list that services made with FastAPI answer with 422. */
export interface FieldError {
  loc: (string | number)[];
  msg: string;
  type: string;
}

/** A request whose fields are wrong, by field. */
export class FieldErrors extends Error {
  override readonly name = "FieldErrors";
  readonly detail: readonly FieldError[];

  constructor(detail: readonly FieldError[]) {
    super(detail.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; "));
    this.detail = detail;
  }
}

const numeric = (value: unknown): unknown => (typeof value === "string" && NUMBER.test(value) ? Number(value) : value);

/** Those services take numbers that come as text, from forms and from loosely typed clients. */
export const wholeNumber = (check: (schema: z.ZodInt) => z.ZodInt = (schema) => schema) => z.preprocess(numeric, check(z.int()));
export const number = (check: (schema: z.ZodNumber) => z.ZodNumber = (schema) => schema) =>
  z.preprocess(numeric, check(z.number()));

/** A value that fits the schema. Raises FieldErrors with every field that does not; `where` is `body` or `query`. */
export function parseFields<Schema extends z.ZodType>(schema: Schema, value: unknown, where: "body" | "query"): z.output<Schema> {
  // Bytes of an upload are an object too, of no fields that anybody sent.
  if (ArrayBuffer.isView(value)) throw new FieldErrors([{ loc: [where], msg: "must be a JSON object", type: "object_type" }]);
  const unstorable = findUnstorable(value);
  if (unstorable !== undefined) {
    const msg = "must not hold NUL characters or halves of surrogate pairs";
    throw new FieldErrors([{ loc: [where, ...unstorable.split(".")], msg, type: "string_unicode" }]);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new FieldErrors(result.error.issues.map((issue) => fieldError(issue, value, where)));
}

function fieldError(issue: z.core.$ZodIssue, value: unknown, where: string): FieldError {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  const loc = [where, ...path];
  if (isMissing(value, path)) return { loc, msg: "Field required", type: "missing" };
  return { loc, msg: wordsOfIssue(issue), type: typeOf(issue) };
}

function isMissing(value: unknown, path: readonly (string | number)[]): boolean {
  let found = value;
  for (const part of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, part)) return true;
    found = Reflect.get(found, part);
  }
  return found === undefined;
}

function typeOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `${issue.expected}_type`;
    case "too_small":
      return issue.origin === "string" ? "string_too_short" : "greater_than_equal";
    case "too_big":
      return issue.origin === "string" ? "string_too_long" : "less_than_equal";
    case "not_multiple_of":
      return "multiple_of";
    case "invalid_value":
      return "literal_error";
    default:
      return "value_error";
  }
}

/**
 * Those services' errors: `{detail: [...]}` with 422 for a body or a field, `{detail: "..."}` for everything else.
 * `names` gives the contract's names for fields of the native request.
 */
export function sendDetail(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  names: Readonly<Record<string, string>> = {},
): FastifyReply {
  if (error instanceof FieldErrors) return reply.code(422).send({ detail: error.detail });
  const refusal = asServiceError(error);
  logFailure(refusal, error, request);
  if (refusal.retryAfter !== undefined) reply.header("retry-after", refusal.retryAfter);
  if (refusal.code === "unauthorized") reply.header("www-authenticate", 'Bearer realm="kiln"');
  const detail = asFieldError(refusal, names);
  if (detail) return reply.code(422).send({ detail: [detail] });
  // A refusal of the policy is told from other bad requests by its code.
  const code = refusal.code === "content_policy" ? { code: refusal.code } : {};
  return reply.code(refusal.status).send({ detail: refusal.message, ...code });
}

function asFieldError(
  { code, status, field, message }: ServiceError,
  names: Readonly<Record<string, string>>,
): FieldError | undefined {
  if (code === "malformed" || code === "unsupported_media_type") return { loc: ["body"], msg: message, type: "json_invalid" };
  if (status !== 422) return undefined;
  const [first = "", ...rest] = (field ?? "").split(".");
  const path =
    field === undefined ? [] : [names[first] ?? first, ...rest.map((part) => (/^\d+$/.test(part) ? Number(part) : part))];
  const own = field === undefined ? undefined : `${field}: `;
  return { loc: ["body", ...path], msg: own && message.startsWith(own) ? message.slice(own.length) : message, type: code };
}
