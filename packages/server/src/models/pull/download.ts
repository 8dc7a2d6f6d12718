import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { codeOf } from "../../errors.ts";
import { again, ask, cancelled, isPassing, PassingError, pauseOf } from "./ask.ts";
import { gitHash } from "./hash-file.ts";
import { PullError } from "./pull-error.ts";
import type { RemoteFile } from "./remote-file.ts";

/** A connection that brings nothing for so long is given up, and the download goes on over another. */
const STALL_MILLISECONDS = 30_000;

export interface DownloadOptions {
  signal: AbortSignal;
  /** Hears how many bytes there are now, on disk. */
  onBytes(present: number): void;
  /** A refusal (400 to 499) in the words of the side that was asked. */
  refuse(response: Response): PullError;
  pauses?: readonly number[];
  stallMilliseconds?: number;
}

/** What a file is known by when it is whole. */
export interface Downloaded {
  bytes: number;
  sha256: string;
}

/**
 * Fetches a file into `partial`, which may hold the beginning of it from an earlier attempt, and checks that it is the
 * file that was meant. A file that is wrong is removed. Raises PullError.
 */
export async function downloadFile(file: RemoteFile, partial: string, options: DownloadOptions): Promise<Downloaded> {
  const fresh = new Transfer(file, partial, options);
  const found = await fresh.run();
  if (fresh.isRight(found)) return found;
  await rm(partial, { force: true });
  // The beginning may be that of another version of the file; the whole of it is not.
  const second = fresh.resumed ? new Transfer(file, partial, options) : undefined;
  const again = await second?.run();
  if (second && again && second.isRight(again)) return again;
  await rm(partial, { force: true });
  throw new PullError(
    "hash_mismatch",
    `${file.path} is not what it should be: its SHA-256 is ${found.sha256}${file.sha256 === undefined ? "" : ` and not ${file.sha256}`}; it has been removed.`,
  );
}

/** The way of one file, over as many connections as it takes. */
class Transfer {
  /** Whether it went on from bytes that were there before. */
  resumed = false;
  readonly #file: RemoteFile;
  readonly #partial: string;
  readonly #options: DownloadOptions;
  #sha256: Hash = createHash("sha256");
  #present = 0;
  #total: number | undefined;
  #git: string | undefined;

  constructor(file: RemoteFile, partial: string, options: DownloadOptions) {
    this.#file = file;
    this.#partial = partial;
    this.#options = options;
    this.#total = file.exact ? file.bytes : undefined;
  }

  isRight({ sha256 }: Downloaded): boolean {
    if (this.#file.sha256 !== undefined) return sha256 === this.#file.sha256;
    return this.#file.gitSha1 === undefined || this.#file.gitSha1 === this.#git;
  }

  async run(): Promise<Downloaded> {
    const handle = await open(this.#partial, "a+").catch((error: unknown) => {
      throw this.#diskError(error);
    });
    try {
      await this.#readPresent(handle);
      this.resumed = this.#present > 0;
      await again(this.#options, async (progressed) => {
        while (this.#total === undefined || this.#present < this.#total) await this.#connect(handle, progressed);
      });
      await handle.sync();
      if (this.#file.gitSha1 !== undefined) this.#git = await gitHash(this.#partial);
    } finally {
      await handle.close();
    }
    return { bytes: this.#present, sha256: this.#sha256.digest("hex") };
  }

  /** Takes what an earlier attempt has left into the hash. */
  async #readPresent(handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    if (this.#total !== undefined && size > this.#total) await this.#startOver(handle);
    else if (size > 0) {
      for await (const chunk of createReadStream(this.#partial)) {
        if (this.#options.signal.aborted) throw cancelled();
        this.#sha256.update(chunk);
      }
      this.#present = size;
    }
    this.#options.onBytes(this.#present);
  }

  async #startOver(handle: FileHandle): Promise<void> {
    await handle.truncate(0);
    this.#sha256 = createHash("sha256");
    this.#present = 0;
    this.#options.onBytes(0);
  }

  /** One connection: from where the file ends to the end, or to where the connection breaks. */
  async #connect(handle: FileHandle, progressed: () => void): Promise<void> {
    const { signal, stallMilliseconds = STALL_MILLISECONDS } = this.#options;
    const stall = new AbortController();
    const range: Record<string, string> = this.#present > 0 ? { range: `bytes=${this.#present}-` } : {};
    const headers = { ...this.#file.headers, ...range, "accept-encoding": "identity" };
    const response = await ask(this.#file.url, headers, AbortSignal.any([signal, stall.signal]));
    try {
      if (!(await this.#accept(response, handle))) return;
      const before = this.#present;
      let timer = setTimeout(() => stall.abort(), stallMilliseconds);
      try {
        for await (const chunk of response.body ?? []) {
          clearTimeout(timer);
          timer = setTimeout(() => stall.abort(), stallMilliseconds);
          await this.#take(chunk, handle);
        }
      } catch (error) {
        if (error instanceof PullError || signal.aborted) throw signal.aborted ? cancelled() : error;
        if (this.#present > before) progressed();
        throw new PassingError(`the download of ${this.#file.path} broke off at ${this.#present} bytes`);
      } finally {
        clearTimeout(timer);
      }
      this.#total ??= this.#present;
      if (this.#present < this.#total) {
        if (this.#present > before) progressed();
        throw new PassingError(`the download of ${this.#file.path} ended at ${this.#present} of ${this.#total} bytes`);
      }
    } finally {
      await response.body?.cancel().catch(() => {});
    }
  }

  /** Whether the answer's body goes on where the file ends. */
  async #accept(response: Response, handle: FileHandle): Promise<boolean> {
    const { status } = response;
    if (isPassing(status)) throw new PassingError(`${new URL(response.url).host} answers ${status}`, pauseOf(response));
    if (status === 416) {
      // Nothing lies after what is there: it was all, or it was more than all.
      const total = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
      if (this.#present === 0) throw new PassingError(`${new URL(response.url).host} has no bytes of ${this.#file.path}`);
      if (total === this.#present) this.#total = total;
      else await this.#startOver(handle);
      return false;
    }
    if (!response.ok) {
      // A signed address that has run out says 403 like a refusal; the next attempt gets a new one.
      if (response.redirected && status === 403) throw new PassingError(`${new URL(response.url).host} answers 403`);
      throw this.#options.refuse(response);
    }
    const [, start, whole] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    if (status === 206 && Number(start) === this.#present) {
      if (whole !== undefined && whole !== "*") this.#total ??= Number(whole);
      return true;
    }
    if (this.#present > 0) await this.#startOver(handle);
    if (status === 206) return false;
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    if (Number.isFinite(length)) this.#total ??= length;
    return true;
  }

  async #take(chunk: Uint8Array, handle: FileHandle): Promise<void> {
    if (this.#total !== undefined && this.#present + chunk.length > this.#total)
      throw new PullError("hash_mismatch", `${this.#file.path} is longer than the ${this.#total} bytes that were announced.`);
    await handle.appendFile(chunk).catch((error: unknown) => {
      throw this.#diskError(error);
    });
    this.#sha256.update(chunk);
    this.#present += chunk.length;
    this.#options.onBytes(this.#present);
  }

  #diskError(error: unknown): PullError {
    const code = codeOf(error) ?? "";
    if (["ENOSPC", "EDQUOT", "EFBIG"].includes(code))
      return new PullError(
        "storage_full",
        `The disk of ${this.#partial} is full; make room and pull again: what has arrived is kept.`,
        error,
      );
    return new PullError(
      "invalid_request",
      `${this.#partial} cannot be written (${code}); check the folder's permissions.`,
      error,
    );
  }
}
