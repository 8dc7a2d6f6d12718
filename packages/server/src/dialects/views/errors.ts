import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { ServiceError } from "../../errors.ts";
import { asServiceError, logFailure } from "../../http/problem.ts";
import { parseOrRefuse } from "../../jobs/parse.ts";

/** A request whose fields are wrong: what is said about each. */
export class FormErrors extends Error {
  override readonly name = "FormErrors";
  readonly fields: Readonly<Record<string, readonly string[]>>;

  constructor(fields: Readonly<Record<string, readonly string[]>>) {
    super(Object.keys(fields).join(", "));
    this.fields = fields;
  }
}

/** An answer of the contract's accounts: `{error}`. */
export class AccountError extends Error {
  override readonly name = "AccountError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const REQUIRED = "This field is required.";

/** A value that fits the schema. Raises FormErrors with every field that does not. */
export function parseForm<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return parseOrRefuse(schema, value);
  const fields: Record<string, string[]> = {};
  for (const { path, message } of result.error.issues) {
    const name = path.length === 0 ? "non_field_errors" : String(path[0]);
    fields[name] = [...(fields[name] ?? []), message];
  }
  throw new FormErrors(fields);
}

/** The contract's names for fields of the native request. */
const FIELDS: Readonly<Record<string, string>> = { prompt: "message", image: "original_image", controls: "pose" };

/** The contract's errors: a map of fields with 400, `{error}` for accounts, `{detail}` for the rest. */
export function sendViewsError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof FormErrors) return reply.code(400).send(error.fields);
  if (error instanceof AccountError) return reply.code(error.status).send({ error: error.message });
  const refusal = asServiceError(error);
  logFailure(refusal, error, request);
  if (refusal.retryAfter !== undefined) reply.header("retry-after", refusal.retryAfter);
  if (refusal.code === "unauthorized") {
    reply.header("www-authenticate", "Token");
    return reply.code(401).send({ detail: refusal.message, error: refusal.message });
  }
  if (refusal.status === 422 || refusal.code === "content_policy") return reply.code(400).send(fieldsOf(refusal));
  return reply.code(refusal.status).send({ detail: refusal.message });
}

function fieldsOf({ field, message }: ServiceError): Record<string, string[]> {
  const [first = "non_field_errors"] = (field ?? "non_field_errors").split(".");
  return { [FIELDS[first] ?? first]: [message] };
}

export function notFound(): ServiceError {
  return new ServiceError("not_found", "Not found.");
}
