import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";

export async function hashFile(path: string, algorithm: "sha256"): Promise<string> {
  return await digest(path, createHash(algorithm));
}

/** The name that git gives a file's content: SHA-1 over its length and its bytes. */
export async function gitHash(path: string): Promise<string> {
  const { size } = await stat(path);
  return await digest(path, createHash("sha1").update(`blob ${size}\0`));
}

async function digest(path: string, hash: Hash): Promise<string> {
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}
