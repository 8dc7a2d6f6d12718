import { compressedPngTextBytes } from "@kiln/diffusion";
import sharp from "sharp";
import type { Caller } from "../auth/caller.ts";
import { ServiceError } from "../errors.ts";
import type { JobStore } from "../records/job-store.ts";
import type { Uploads } from "../records/uploads.ts";
import type { Storage } from "../storage/storage.ts";
import { newId } from "./ids.ts";
import { MAX_INPUT_PIXELS, MAX_UPLOAD_BYTES } from "./limits.ts";

export interface UploadedPicture {
  id: string;
  width: number;
  height: number;
  format: string;
  bytes: number;
}

/** The formats that are read. SVG and HTML are documents with code in them, GIF and TIFF have frames and pages. */
const FORMATS = new Set(["png", "jpeg", "webp"]);

/** Texts of a PNG that have to be unpacked before its size is known; ComfyUI's largest workflows have half of this as they are. */
const MAX_COMPRESSED_TEXT_BYTES = 1024 * 1024;

/** Takes in the pictures that callers send, and finds again those that requests refer to. */
export class PicturesIn {
  readonly #storage: Storage;
  readonly #uploads: Uploads;
  readonly #jobs: JobStore;

  constructor(storage: Storage, uploads: Uploads, jobs: JobStore) {
    this.#storage = storage;
    this.#uploads = uploads;
    this.#jobs = jobs;
  }

  /** Stores a picture after a look at its header alone; the engine's process decodes it. Raises `picture_invalid`. */
  async store(bytes: Uint8Array, caller: Caller, field: string): Promise<UploadedPicture> {
    const { width, height, format } = await inspectPicture(bytes, field);
    const id = newId("up");
    const key = `uploads/${id}.${format === "jpeg" ? "jpg" : format}`;
    await this.#storage.put(key, bytes, `image/${format}`);
    const row = { id, owner: caller.owner, key, width, height, format, bytes: bytes.length };
    await this.#uploads.insert(row);
    return row;
  }

  /** Turns what a request says about a picture into a reference: `upload:ID` or `image:ID` of the caller's own. */
  async refer(value: string, caller: Caller, field: string): Promise<string> {
    const [, kind, id] = /^(upload|image):([a-z0-9_]{1,60})$/.exec(value) ?? [];
    if (kind && id) {
      if (!(await this.#keyOf(kind, id, caller)))
        throw new ServiceError("picture_invalid", `${field} names ${kind} "${id}", which does not exist.`, { field });
      return value;
    }
    return `upload:${(await this.store(decodeBase64(value, field), caller, field)).id}`;
  }

  /** The bytes behind a reference. */
  async read(reference: string): Promise<Buffer> {
    const [kind = "", id = ""] = reference.split(":");
    const key = await this.#keyOf(kind, id, undefined);
    const bytes = key === undefined ? undefined : await this.#storage.get(key);
    if (!bytes) throw new ServiceError("picture_invalid", `The picture ${reference} is not there any more.`);
    return bytes;
  }

  /** Removes the upload behind a reference, with its bytes; one that is not there counts as removed. */
  async discard(reference: string): Promise<void> {
    const [kind, id = ""] = reference.split(":");
    const row = kind === "upload" ? await this.#uploads.get(id) : undefined;
    if (!row) return;
    await this.#uploads.remove(id);
    await this.#storage.delete(row.key);
  }

  /** A caller's upload. Raises `not_found`. */
  async open(id: string, caller: Caller): Promise<{ bytes: Buffer; format: string }> {
    const row = await this.#uploads.get(id);
    const bytes = row && (caller.role === "admin" || row.owner === caller.owner) ? await this.#storage.get(row.key) : undefined;
    if (!row || !bytes) throw new ServiceError("not_found", `There is no upload "${id.slice(0, 80)}".`);
    return { bytes, format: row.format };
  }

  async #keyOf(kind: string, id: string, caller: Caller | undefined): Promise<string | undefined> {
    const row = kind === "upload" ? await this.#uploads.get(id) : await this.#jobs.image(id);
    if (!row || (caller && caller.role !== "admin" && row.owner !== caller.owner)) return undefined;
    return row.key;
  }
}

/**
 * Bytes of base64 or of a data URL. Raises `picture_invalid`.
 * @param forms what the field takes, for the message
 */
export function decodeBase64(value: string, field: string, forms = "upload:ID, image:ID, base64 or a data URL"): Buffer {
  const base64 = value.startsWith("data:") ? value.slice(value.indexOf(",") + 1) : value;
  if (base64.length > (MAX_UPLOAD_BYTES * 4) / 3 + 4) {
    throw new ServiceError("picture_invalid", `${field} is larger than ${MAX_UPLOAD_BYTES / 1024 ** 2} MB.`, { field });
  }
  const bytes = Buffer.from(base64, "base64");
  // Node skips what is no base64; text that was skipped over was no picture.
  if (bytes.length < 12 || bytes.length < Math.floor((base64.replace(/[\s=]/g, "").length * 3) / 4) - 2) {
    throw new ServiceError("picture_invalid", `${field} must be ${forms} of a PNG, JPEG or WebP.`, { field });
  }
  return bytes;
}

/** Size and format from the header. Raises `picture_invalid` for other formats and for more pixels than the limit. */
export async function inspectPicture(
  bytes: Uint8Array,
  field: string,
): Promise<{ width: number; height: number; format: string }> {
  const refuse = (reason: string) => new ServiceError("picture_invalid", `${field} ${reason}.`, { field });
  if (bytes.length > MAX_UPLOAD_BYTES) throw refuse(`is larger than ${MAX_UPLOAD_BYTES / 1024 ** 2} MB`);
  if (!looksLikePicture(bytes)) throw refuse("is not a PNG, JPEG or WebP");
  if (compressedPngTextBytes(bytes) > MAX_COMPRESSED_TEXT_BYTES)
    throw refuse(`has more than ${MAX_COMPRESSED_TEXT_BYTES / 1024 ** 2} MB of compressed texts; save it without them`);
  let found: { width?: number; height?: number; format?: string; pages?: number };
  try {
    found = await sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: "error" }).metadata();
  } catch {
    throw refuse(`cannot be read as a picture of at most ${MAX_INPUT_PIXELS} pixels`);
  }
  const { width = 0, height = 0, format = "", pages = 1 } = found;
  if (!FORMATS.has(format) || pages > 1) throw refuse("is not a still PNG, JPEG or WebP");
  if (width < 1 || height < 1 || width * height > MAX_INPUT_PIXELS)
    throw refuse(`is ${width} x ${height}; at most ${MAX_INPUT_PIXELS} pixels are read`);
  return { width, height, format };
}

/** The signatures, so that no other decoder of the library below is ever reached. */
function looksLikePicture(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 12)).toString("latin1");
  return (
    head.startsWith("\x89PNG\r\n\x1a\n") ||
    head.startsWith("\xff\xd8\xff") ||
    (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP")
  );
}
