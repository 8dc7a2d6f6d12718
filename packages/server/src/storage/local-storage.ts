import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, opendir, readFile, realpath, rename, rm, statfs } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { codeOf, ServiceError } from "../errors.ts";
import { checkKey, type Storage } from "./storage.ts";

/** Below this much free space no job is accepted: a 2048² PNG of noise is 13 MB, and the database needs room too. */
const LEAST_FREE_BYTES = 100 * 1024 * 1024;

/**
 * Files under one folder. A file is written beside its place and renamed into it, so that readers see it whole or not.
 * @param cdn the base address under which clients find the folder
 * @param survivesPowerLoss whether `put` waits until the disk has the file; else the disk is asked at once and not waited
 * for, and what the system was given survives the end of every process, but not that of the machine in the same moment
 */
export async function openLocalStorage(folder: string, cdn?: string, survivesPowerLoss = true): Promise<Storage> {
  await mkdir(folder, { recursive: true });
  return new LocalStorage(folder, await realpath(folder), cdn, survivesPowerLoss);
}

class LocalStorage implements Storage {
  readonly kind = "local";
  /** As the operator names it. */
  readonly #folder: string;
  /** The same after links. */
  readonly #root: string;
  readonly #cdn: string | undefined;
  readonly #survivesPowerLoss: boolean;

  constructor(folder: string, root: string, cdn: string | undefined, survivesPowerLoss: boolean) {
    this.#folder = folder;
    this.#root = root;
    this.#cdn = cdn?.replace(/\/$/, "");
    this.#survivesPowerLoss = survivesPowerLoss;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const path = await this.#pathOf(key);
    await mkdir(dirname(path), { recursive: true });
    const temporary = join(dirname(path), `.${randomBytes(8).toString("hex")}.part`);
    try {
      const file = await open(temporary, "wx", 0o640);
      try {
        await file.writeFile(bytes);
        if (this.#survivesPowerLoss) await file.sync();
        await rename(temporary, path);
      } finally {
        if (this.#survivesPowerLoss) await file.close();
        else void syncAndClose(file);
      }
    } catch (error) {
      await rm(temporary, { force: true });
      if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") throw full(this.#folder, error);
      throw error;
    }
  }

  async get(key: string): Promise<Buffer | undefined> {
    try {
      return await readFile(await this.#pathOf(key), { flag: constants.O_RDONLY | constants.O_NOFOLLOW });
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "EISDIR", "ELOOP"].includes(codeOf(error) ?? "")) return undefined;
      throw error;
    }
  }

  async delete(key: string): Promise<void> {
    await rm(await this.#pathOf(key), { force: true });
  }

  async *list(prefix: string): AsyncIterable<string> {
    const start = prefix.includes("/") ? prefix.slice(0, prefix.lastIndexOf("/")) : "";
    const folder = start === "" ? this.#root : join(this.#root, checkKey(start));
    for await (const key of this.#walk(folder)) if (key.startsWith(prefix)) yield key;
  }

  async address(key: string): Promise<string | undefined> {
    return this.#cdn === undefined ? undefined : `${this.#cdn}/${checkKey(key)}`;
  }

  async check(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#root);
    if (bavail * bsize < LEAST_FREE_BYTES) throw full(this.#folder);
  }

  close(): void {}

  /** The key's path, after links: a link that leads out of the folder is not followed. */
  async #pathOf(key: string): Promise<string> {
    const path = resolve(this.#root, checkKey(key));
    const parent = await realpath(dirname(path)).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return dirname(path);
      throw error;
    });
    if (parent !== this.#root && !parent.startsWith(this.#root + sep))
      throw new TypeError(`"${key}" leads out of the storage folder.`);
    return path;
  }

  async *#walk(folder: string): AsyncIterable<string> {
    let entries: Awaited<ReturnType<typeof opendir>>;
    try {
      entries = await opendir(folder);
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return;
      throw error;
    }
    for await (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) yield* this.#walk(path);
      else if (entry.isFile() && !entry.name.startsWith(".")) yield relative(this.#root, path).split(sep).join("/");
    }
  }
}

/** Nobody waits, so nobody can be told: a disk that does not take the file loses it only with the machine. */
async function syncAndClose(file: FileHandle): Promise<void> {
  await file.sync().catch(() => {});
  await file.close().catch(() => {});
}

function full(folder: string, cause?: unknown): ServiceError {
  return new ServiceError("storage_full", `The disk under ${folder} is full; free space or set KILN_RETENTION_DAYS.`, {
    cause,
    retryAfter: 60,
  });
}
