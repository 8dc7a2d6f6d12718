import type { z } from "zod";
import { ServiceError } from "../errors.ts";
import { wordsOfIssue } from "../issue-words.ts";

/** A value that fits the schema. Raises `invalid_request` with the first field that does not. */
export function parseOrRefuse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const unstorable = findUnstorable(value);
  if (unstorable !== undefined) {
    throw new ServiceError("invalid_request", `${unstorable}: must not hold NUL characters or halves of surrogate pairs.`, {
      field: unstorable,
    });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.map(String).join(".") ?? "";
  const reason = issue ? wordsOfIssue(issue) : "is not valid";
  throw new ServiceError(
    "invalid_request",
    field === "" ? `The body ${reason}.` : `${field}: ${reason}.`,
    field === "" ? {} : { field },
  );
}

/** Longer strings are pictures in base64, which their decoder checks. */
const LONGEST_TEXT = 100_000;
/** Deeper than any request; what lies below is refused by the schemas. */
const DEEPEST = 20;

/** The path of a string that PostgreSQL cannot store, or undefined. */
export function findUnstorable(value: unknown, path: readonly string[] = []): string | undefined {
  if (typeof value === "string") return value.length <= LONGEST_TEXT && !isStorable(value) ? path.join(".") || "body" : undefined;
  if (typeof value !== "object" || value === null || path.length > DEEPEST || ArrayBuffer.isView(value)) return undefined;
  for (const [key, each] of Object.entries(value)) {
    if (!isStorable(key)) return "body";
    const found = findUnstorable(each, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isStorable(text: string): boolean {
  return !/\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text);
}
