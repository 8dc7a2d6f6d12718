import type {} from "@fastify/multipart";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { messageOf, ServiceError } from "../errors.ts";

export interface Form {
  /** Text fields by name; empty ones count as left out, unless the route says otherwise. Of several with one name, the last. */
  fields: Record<string, unknown>;
  files: ReadonlyMap<string, FormFile>;
}

export interface FormFile {
  /** As the client calls it; not to be trusted. */
  name: string;
  bytes: Buffer;
}

/** A form without files has some words and numbers; one of a million fields takes a second to take apart. */
const MAX_URL_ENCODED_BYTES = 256 * 1024;

/** Lets a scope's routes take forms without files in their other encoding. */
export function acceptUrlEncoded(app: FastifyInstance): void {
  const options = { parseAs: "string", bodyLimit: MAX_URL_ENCODED_BYTES } as const;
  app.addContentTypeParser("application/x-www-form-urlencoded", options, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(String(body))));
  });
}

/**
 * A request's fields and those of its files that have one of the given names, from any encoding that clients send:
 * multipart, URL-encoded, JSON, or no body at all. Raises `malformed` for a body that ends early.
 * @param clearable fields in which nothing is a value of its own
 */
export async function readForm(
  request: FastifyRequest,
  fileNames: readonly string[],
  clearable: readonly string[] = [],
): Promise<Form> {
  const files = new Map<string, FormFile>();
  if (!request.isMultipart()) return { fields: filled(request.body, clearable), files };
  const fields: Record<string, unknown> = {};
  try {
    for await (const part of request.parts()) {
      if (part.type === "field") fields[part.fieldname] = part.value;
      else if (!fileNames.includes(part.fieldname)) part.file.resume();
      else {
        const bytes = await part.toBuffer();
        // What browsers send where no file was chosen.
        if (bytes.length > 0 || part.filename) files.set(part.fieldname, { name: part.filename ?? "", bytes });
      }
    }
  } catch (error) {
    // The parser's own errors say their status; a body that ends early has none.
    if (typeof error === "object" && error !== null && "statusCode" in error) throw error;
    throw new ServiceError("malformed", `The body is no whole form: ${messageOf(error)}.`, { cause: error });
  }
  return { fields: filled(fields, clearable), files };
}

function filled(body: unknown, clearable: readonly string[]): Record<string, unknown> {
  if (body === undefined || body === null) return {};
  if (typeof body !== "object" || Array.isArray(body) || ArrayBuffer.isView(body))
    throw new ServiceError("malformed", "The body must be a form or a JSON object.");
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => value !== "" || clearable.includes(name)));
}
