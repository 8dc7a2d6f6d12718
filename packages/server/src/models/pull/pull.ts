import { mkdir, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Settings } from "../../settings/schema.ts";
import { civitaiRefusal, planCivitaiPull } from "./civitai.ts";
import { downloadFile } from "./download.ts";
import { hubRefusal, planHubPull } from "./hub.ts";
import { cachePlace, modelsPlace, type Place } from "./place.ts";
import { PullError } from "./pull-error.ts";
import { type ReceiptFile, Receipts } from "./receipts.ts";
import type { PullPlan, RemoteFile } from "./remote-file.ts";
import { formatSource, type PullSource } from "./source.ts";

/** Left free on the disk besides the model: the database and pictures go on while it arrives. */
export const RESERVED_BYTES = 512 * 1024 * 1024;

export type PullInto = "cache" | "models";

export interface PullProgress {
  phase: "listing" | "downloading";
  /** The file that arrives now. */
  file: string | undefined;
  filesDone: number;
  filesTotal: number;
  bytesDone: number;
  bytesTotal: number;
}

export interface PullOptions {
  settings: Settings;
  /** Undefined: the Hugging Face cache where HF_HOME names it and the source is the hub's, else MODELS_DIR. */
  into?: PullInto | undefined;
  signal: AbortSignal;
  onProgress(progress: PullProgress): void;
  pauses?: readonly number[];
  stallMilliseconds?: number;
  /** Bytes that may be written to the file system of a folder. */
  freeBytes?: (folder: string) => Promise<number>;
}

export interface Pulled {
  root: string;
  place: PullInto;
  /** Bytes that came over the network, as against those that were there already. */
  fetched: number;
  files: number;
}

/**
 * Brings a model onto this machine: lists its files, checks the disk, fetches what is missing, checks every file's
 * hash, and only then lets the catalogue see it. Raises PullError; what has arrived is kept, and the same call goes on
 * from there.
 */
export async function pullModel(source: PullSource, options: PullOptions): Promise<Pulled> {
  const { settings, onProgress } = options;
  onProgress({ phase: "listing", file: undefined, filesDone: 0, filesTotal: 0, bytesDone: 0, bytesTotal: 0 });
  const plan = await planOf(source, options);
  const place = placeFor(source, plan, options);
  const missing = await missingFiles(plan, place);
  await checkSpace(missing, place, options.freeBytes ?? freeBytesOf);
  const receipts = new Receipts(settings.KILN_DATA_DIR);
  const total = sum(missing);
  const arrived: Omit<ReceiptFile, "source">[] = [];
  let bytesBefore = 0;
  for (const [index, file] of missing.entries()) {
    const partial = await place.partialOf(file);
    const found = await downloadFile(file, partial, {
      ...options,
      refuse: (response) => refusalOf(response, source, file, settings),
      onBytes: (present) =>
        onProgress({
          phase: "downloading",
          file: file.path,
          filesDone: index,
          filesTotal: missing.length,
          bytesDone: bytesBefore + present,
          bytesTotal: total,
        }),
    });
    bytesBefore += found.bytes;
    arrived.push({ paths: await place.put(file, found.sha256), ...found });
  }
  await place.finish();
  if (arrived.length > 0) await receipts.add(place.kind, place.root, formatSource(source), arrived);
  return { root: place.root, place: place.kind, fetched: bytesBefore, files: plan.files.length };
}

/** Whether a source can be pulled under these settings. Raises PullError invalid_request. */
export function checkInto(source: PullSource, into: PullInto | undefined): void {
  if (source.kind === "civitai" && into === "cache")
    throw new PullError("invalid_request", "Models of Civitai go into MODELS_DIR; the cache is the Hugging Face hub's.");
}

async function planOf(source: PullSource, { settings, signal, pauses }: PullOptions): Promise<PullPlan> {
  const options = { signal, ...(pauses ? { pauses } : {}) };
  if (source.kind === "hub") return await planHubPull(source, hubAccess(settings), options);
  return await planCivitaiPull(source, civitaiAccess(settings), options);
}

function hubAccess({ HF_ENDPOINT, HF_TOKEN }: Settings) {
  return { endpoint: HF_ENDPOINT.replace(/\/+$/, ""), token: HF_TOKEN };
}

function civitaiAccess({ CIVITAI_ENDPOINT, CIVITAI_TOKEN }: Settings) {
  return { endpoint: CIVITAI_ENDPOINT.replace(/\/+$/, ""), token: CIVITAI_TOKEN };
}

function refusalOf(response: Response, source: PullSource, file: RemoteFile, settings: Settings): PullError {
  if (source.kind === "civitai") return civitaiRefusal(response.status, file.path, civitaiAccess(settings));
  if (response.status === 404)
    return new PullError("not_found", `${source.repository} lists ${file.path}, but does not have it.`);
  return hubRefusal(response, source, hubAccess(settings));
}

function placeFor(source: PullSource, plan: PullPlan, { settings, into }: PullOptions): Place {
  const nested = source.kind === "hub" && source.file?.includes("/") === true;
  // In the cache the catalogue finds whole repositories and the files at their top.
  const chosen = into ?? (settings.HF_HOME !== undefined && source.kind === "hub" && !nested ? "cache" : "models");
  const cache =
    chosen === "cache" ? cachePlace(join(settings.HF_HOME ?? join(homedir(), ".cache", "huggingface"), "hub"), plan) : undefined;
  return cache ?? modelsPlace(settings.MODELS_DIR.split(",")[0]?.trim() ?? "models", plan);
}

async function missingFiles(plan: PullPlan, place: Place): Promise<RemoteFile[]> {
  const missing: RemoteFile[] = [];
  for (const file of plan.files) if (!(await place.has(file))) missing.push(file);
  return missing;
}

async function checkSpace(
  missing: readonly RemoteFile[],
  place: Place,
  freeBytes: (folder: string) => Promise<number>,
): Promise<void> {
  const folder = dirname(place.root);
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw new PullError("invalid_request", `${folder} cannot be made; check its parent's permissions.`, error);
  });
  const needed = sum(missing);
  if (needed === 0) return;
  const free = await freeBytes(folder);
  if (free < needed + RESERVED_BYTES)
    throw new PullError(
      "storage_full",
      `${folder} has ${gigabytes(free)} free, and ${gigabytes(needed)} are to come beside the ${gigabytes(RESERVED_BYTES)} that stay free: make room, or set MODELS_DIR or HF_HOME to a larger disk.`,
    );
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function sum(files: readonly RemoteFile[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
