import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import { KilnError } from "../errors.ts";
import { corrupt, MAX_HEADER_BYTES, parseSafetensorsHeader } from "./safetensors-header.ts";
import type { TensorView } from "./tensor-view.ts";

/** A safetensors file whose header has been read and checked; the tensors stay on disk. */
export interface SafetensorsFile {
  /** The real path: symlinks (Hugging Face's cache is made of them) are resolved. */
  readonly path: string;
  readonly size: number;
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorView>;
}

const LENGTH_BYTES = 8;

/**
 * Opens a safetensors file: reads its header, checks it against the file's size, and reads nothing else.
 * @throws KilnError file_not_found, file_corrupt (truncated, or a header that lies), file_unsupported (pickle, GGUF, unknown number type)
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const { real, size } = await locate(path);
  refuseByName(path);
  const handle = await open(real, "r").catch((cause: unknown) => {
    throw notFound(path, cause);
  });
  try {
    const headerLength = await readHeaderLength(handle, path, size);
    const header = await readExactly(handle, LENGTH_BYTES, headerLength, path);
    const dataStart = LENGTH_BYTES + headerLength;
    const { metadata, entries } = parseSafetensorsHeader(header, size - dataStart, path);
    const tensors = new Map<string, TensorView>();
    for (const [name, { type, shape, begin, end }] of entries) {
      tensors.set(name, { source: real, offset: dataStart + begin, byteLength: end - begin, type, shape });
    }
    return { path: real, size, metadata, tensors };
  } finally {
    await handle.close();
  }
}

async function locate(path: string): Promise<{ real: string; size: number }> {
  try {
    const real = await realpath(path);
    const info = await stat(real);
    if (!info.isFile())
      throw new KilnError("file_unsupported", `${path} is not a regular file: name a .safetensors file.`, { subject: path });
    return { real, size: info.size };
  } catch (cause) {
    throw cause instanceof KilnError ? cause : notFound(path, cause);
  }
}

function notFound(path: string, cause: unknown): KilnError {
  return new KilnError("file_not_found", `${path} cannot be read: check the path and its permissions.`, { subject: path, cause });
}

async function readHeaderLength(handle: FileHandle, path: string, size: number): Promise<number> {
  if (size < LENGTH_BYTES + 2) throw corrupt(path, `it has only ${size} bytes`);
  const start = await readExactly(handle, 0, LENGTH_BYTES, path);
  refuseByContent(start, path);
  const length = Buffer.from(start.buffer, start.byteOffset, LENGTH_BYTES).readBigUInt64LE();
  if (length > BigInt(size - LENGTH_BYTES))
    throw corrupt(path, `its header claims ${length} bytes of a file of ${size}, so it is truncated or another kind of file`);
  if (length > BigInt(MAX_HEADER_BYTES))
    throw corrupt(path, `its header claims ${length} bytes, and ${MAX_HEADER_BYTES} is the limit`);
  return Number(length);
}

/** Reads `length` bytes at `position`; a file that ends earlier (it may shrink while we look) is corrupt. */
export async function readExactly(handle: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  await readInto(handle, bytes, position, path);
  return bytes;
}

/** Fills `bytes` from `position`, in pieces, because one read call moves at most 2 GiB. */
async function readInto(handle: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  const piece = 1 << 30;
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(piece, bytes.length - done), position + done);
    if (bytesRead === 0) throw corrupt(path, `it ends at byte ${position + done}, inside a tensor or its header`);
    done += bytesRead;
  }
}

const PICKLE_EXTENSIONS = [".ckpt", ".pt", ".pth", ".bin", ".pkl"];

function refuseByName(path: string): void {
  const lower = path.toLowerCase();
  if (PICKLE_EXTENSIONS.some((extension) => lower.endsWith(extension))) throw pickle(path);
  if (lower.endsWith(".gguf")) throw gguf(path);
}

/** Looks at the first eight bytes, which in a safetensors file are a small length. */
function refuseByContent(start: Uint8Array, path: string): void {
  const text = Buffer.from(start.buffer, start.byteOffset, start.length).toString("latin1");
  if (text.startsWith("GGUF")) throw gguf(path);
  if (
    text.startsWith("PK\u0003\u0004") ||
    (start[0] === 0x80 && (start[1] ?? 0) >= 2 && (start[1] ?? 0) <= 5 && start[2] !== 0 && start[7] !== 0)
  ) {
    throw pickle(path);
  }
  if (text.startsWith("version ")) {
    throw new KilnError(
      "file_corrupt",
      `${path} is a Git LFS pointer and not the file itself: fetch it with git lfs pull, or download it again.`,
      { subject: path },
    );
  }
  if (text.startsWith("<!") || text.toLowerCase().startsWith("<html")) {
    throw new KilnError("file_corrupt", `${path} is a web page and not a model: the download needs a login or another address.`, {
      subject: path,
    });
  }
}

function pickle(path: string): KilnError {
  const why = "loading a pickle runs whatever code its author put into it";
  return new KilnError(
    "file_unsupported",
    `${path} is a pickle checkpoint, which Kiln refuses because ${why}: convert it to .safetensors, or download that version.`,
    { subject: path },
  );
}

function gguf(path: string): KilnError {
  return new KilnError(
    "file_unsupported",
    `${path} is a GGUF file, whose quantised blocks Kiln does not read: use the .safetensors version of the model.`,
    { subject: path },
  );
}
