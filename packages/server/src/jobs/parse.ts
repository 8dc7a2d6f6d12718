import type { z } from "zod";
import { ServiceError } from "../errors.ts";

/** A value that fits the schema. Raises `invalid_request` with the first field that does not. */
export function parseOrRefuse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.map(String).join(".") ?? "";
  const reason = issue?.message ?? "is not valid";
  throw new ServiceError(
    "invalid_request",
    field === "" ? `The body is not valid: ${reason}.` : `${field}: ${reason}.`,
    field === "" ? {} : { field },
  );
}
