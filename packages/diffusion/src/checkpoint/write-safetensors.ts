import { open, rename, rm } from "node:fs/promises";
import { formatTypeName } from "./safetensors-header.ts";
import { BYTES_PER_ELEMENT, type StorageType } from "./tensor-view.ts";
import { elementCount } from "./views.ts";

/** A tensor to be written: its bytes are asked for when their turn comes, so that a file larger than memory can be written. */
export interface TensorToWrite {
  readonly name: string;
  readonly type: StorageType;
  readonly shape: readonly number[];
  /** The bytes, whole or in pieces; little endian, row-major. */
  readonly bytes: () => Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * Writes a safetensors file, tensor after tensor in the order given, under a temporary name that becomes `path` when all is written.
 * @throws RangeError where a tensor's bytes do not fill its shape (a bug in the caller)
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const temporary = `${path}.${process.pid}.partial`;
  const handle = await open(temporary, "w");
  try {
    await handle.writeFile(encodeHeader(tensors, metadata));
    for (const tensor of tensors) {
      let written = 0;
      const bytes = tensor.bytes();
      for await (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
        await handle.writeFile(piece);
        written += piece.byteLength;
      }
      if (written !== byteLength(tensor))
        throw new RangeError(`${tensor.name}: ${written} bytes do not fill ${tensor.type} [${tensor.shape.join(", ")}]`);
    }
    await handle.close();
    await rename(temporary, path);
  } catch (cause) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw cause;
  }
}

function byteLength(tensor: Pick<TensorToWrite, "type" | "shape">): number {
  return elementCount(tensor.shape) * BYTES_PER_ELEMENT[tensor.type];
}

/** What a file begins with: length prefix and JSON, padded with spaces to a multiple of 8 as the format's own library does. */
export function encodeHeader(
  tensors: readonly Pick<TensorToWrite, "name" | "type" | "shape">[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: [string, unknown][] = metadata === undefined ? [] : [["__metadata__", metadata]];
  let offset = 0;
  for (const tensor of tensors) {
    const end = offset + byteLength(tensor);
    entries.push([tensor.name, { dtype: formatTypeName(tensor.type), shape: tensor.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(json.length / 8) * 8;
  const header = Buffer.alloc(8 + length, 0x20);
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, 8);
  return header;
}
