/**
 * A value as a parameter in PostgreSQL's text form, as node-postgres writes it: dates as ISO 8601, bytes in hexadecimal,
 * arrays as array literals, other objects as JSON.
 */
export function toParameter(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return toArrayLiteral(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** PostgreSQL 8.15.2: elements in quotes, with backslashes before quotes and backslashes. */
function toArrayLiteral(elements: readonly unknown[]): string {
  const written = elements.map((element) => {
    if (Array.isArray(element)) return toArrayLiteral(element);
    const text = toParameter(element);
    return text === null ? "NULL" : `"${text.replace(/["\\]/g, "\\$&")}"`;
  });
  return `{${written.join(",")}}`;
}
