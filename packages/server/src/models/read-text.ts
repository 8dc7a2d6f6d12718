import { readFile, stat } from "node:fs/promises";

/** What is read beside models are names of commits, words and settings; larger files are none of them. */
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * The text of a small file beside a model. Undefined for what is not there or cannot be read, and for what is no
 * regular file: a pipe would be waited at for ever, and a device read for ever.
 */
export async function readText(path: string): Promise<string | undefined> {
  try {
    const info = await stat(path);
    return info.isFile() && info.size <= MAX_BYTES ? await readFile(path, "utf8") : undefined;
  } catch {
    return undefined;
  }
}
