import type { z } from "zod";

/** What a schema's kinds of values are called in sentences. */
const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "an object",
  record: "an object",
  null: "null",
};

/** What a value would have to be, as the rest of a sentence that begins with its field: "must be at most 2048". */
export function wordsOfIssue(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type": {
      const kind = `must be ${KINDS[issue.expected] ?? issue.expected}`;
      return issue.message.endsWith("received undefined") ? `is missing, and ${kind}` : kind;
    }
    case "too_small":
      if (issue.minimum === 1 && issue.origin === "string") return "must not be empty";
      return `must ${sizeOf(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum)}`;
    case "too_big":
      return `must ${sizeOf(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum)}`;
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "invalid_union": {
      // Of the forms that a field may have, the first is the usual one.
      const first = issue.errors[0]?.[0];
      return first ? wordsOfIssue(first) : "is not of a form that this field takes";
    }
    default:
      return issue.message;
  }
}

function sizeOf(origin: string, relation: string, limit: number | bigint): string {
  if (origin === "string") return `have ${relation} ${limit} characters`;
  if (origin === "array" || origin === "set") return `have ${relation} ${limit} entries`;
  return `be ${relation} ${limit}`;
}
