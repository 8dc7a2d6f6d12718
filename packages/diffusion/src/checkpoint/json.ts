import { readFile, stat } from "node:fs/promises";
import { KilnError } from "../errors.ts";

/** What `JSON.parse` gives for `{...}`: nothing is known about the values. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Shard indexes of the largest diffusion checkpoints are under 1 MB, config files under 10 kB. */
const MAX_JSON_FILE_BYTES = 32 * 1024 * 1024;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * `JSON.parse` that refuses an object with the same key twice: there, two readers of one file could see different things.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (countKeys(value) !== countColons(text)) throw new SyntaxError("a key appears twice in one object");
  return value;
}

/** Valid JSON has one colon outside of strings for each key that is written. */
function countColons(text: string): number {
  let count = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x3a) count++;
  }
  return count;
}

/** Keys that survived parsing, at every depth; a stack of its own, because nesting is the file's to choose. */
function countKeys(root: unknown): number {
  let count = 0;
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== "object" || value === null) continue;
    const children: unknown[] = Object.values(value);
    if (!Array.isArray(value)) count += children.length;
    for (const child of children) if (typeof child === "object") open.push(child);
  }
  return count;
}

/**
 * Reads a JSON file whose top is an object.
 * @throws KilnError file_not_found, or file_corrupt where it is too large, not JSON, or not an object
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const bad = (what: string, cause?: unknown) =>
    new KilnError("file_corrupt", `${path} ${what}. Download it again.`, { subject: path, cause });
  let text: string;
  try {
    const info = await stat(path);
    // A pipe would be waited at for ever, and a device like /dev/zero read for ever.
    if (!info.isFile()) throw bad("is not a regular file");
    const { size } = info;
    if (size > MAX_JSON_FILE_BYTES) throw bad(`has ${size} bytes, and ${MAX_JSON_FILE_BYTES} is the limit for a JSON file`);
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof KilnError) throw cause;
    throw new KilnError("file_not_found", `${path} cannot be read: check the path and its permissions.`, {
      subject: path,
      cause,
    });
  }
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw bad(`is not valid JSON (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (!isJsonObject(value)) throw bad("does not hold a JSON object");
  return value;
}
