import { KilnError } from "../errors.ts";
import { isJsonObject, type JsonObject, parseJson } from "./json.ts";
import { BYTES_PER_ELEMENT, type StorageType } from "./tensor-view.ts";

/**
 * The largest header that is read. The format allows 100 MB; the SDXL base file needs 0.3 MB, and the largest
 * published ones (LoRA files that carry their training tags) a few. The cap bounds what a stranger's file can make us parse.
 */
export const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** The SDXL base file has 2,515 tensors, a LyCORIS file for it up to some 10,000. */
const MAX_TENSORS = 65_536;
/** Real names stay under 150 characters. */
const MAX_NAME_LENGTH = 512;
/** Convolutions have 4 dimensions; video networks 5. */
const MAX_RANK = 8;
/** Tags of a training set can be long; anything longer than this is cut when metadata is shown, never when it is read. */
const MAX_METADATA_ENTRIES = 4096;

/** One tensor as the header describes it; offsets count from the end of the header. */
export interface HeaderEntry {
  readonly type: StorageType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  readonly entries: ReadonlyMap<string, HeaderEntry>;
}

const STORAGE_TYPES: ReadonlyMap<string, StorageType> = new Map([
  ["F64", "float64"],
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["F8_E4M3", "float8_e4m3fn"],
  ["F8_E5M2", "float8_e5m2"],
  ["I64", "int64"],
  ["I32", "int32"],
  ["U8", "uint8"],
  ["BOOL", "bool"],
]);

/** The format's name of a storage type ("F16"). */
export function formatTypeName(type: StorageType): string {
  for (const [name, known] of STORAGE_TYPES) if (known === type) return name;
  throw new RangeError(`no name for ${type}`);
}

/** A file whose bytes are not what the format says. Downloads that broke off are the usual cause, so the sentence says so. */
export function corrupt(file: string, what: string, cause?: unknown): KilnError {
  return new KilnError("file_corrupt", `${file} is not a whole safetensors file: ${what}. Download it again.`, {
    subject: file,
    cause,
  });
}

/**
 * Reads a safetensors header (https://github.com/huggingface/safetensors, "Format") and checks everything it claims:
 * every byte of the data belongs to exactly one tensor, and to as many elements as the shape has.
 * @param bytes the JSON text, without its length prefix
 * @param dataLength bytes in the file after the header
 * @param file the name for messages
 * @throws KilnError file_corrupt where the header lies, file_unsupported for a number type that Kiln does not read
 */
export function parseSafetensorsHeader(bytes: Uint8Array, dataLength: number, file: string): SafetensorsHeader {
  const json = parseHeaderJson(bytes, file);
  const names = Object.keys(json);
  if (names.length > MAX_TENSORS + 1)
    throw corrupt(file, `its header lists ${names.length} tensors, and ${MAX_TENSORS} is the limit`);
  const entries = new Map<string, HeaderEntry>();
  for (const name of names) {
    if (name === "__metadata__") continue;
    if (name.length > MAX_NAME_LENGTH)
      throw corrupt(file, `a tensor's name is ${name.length} characters long, and ${MAX_NAME_LENGTH} is the limit`);
    entries.set(name, parseEntry(json[name], name, dataLength, file));
  }
  checkCoverage(entries, dataLength, file);
  return { metadata: parseMetadata(json.__metadata__, file), entries };
}

function parseHeaderJson(bytes: Uint8Array, file: string): JsonObject {
  if (bytes[0] !== 0x7b) throw corrupt(file, "its header does not begin with {");
  let parsed: unknown;
  try {
    parsed = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt(file, `its header is not valid JSON (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (!isJsonObject(parsed)) throw corrupt(file, "its header is not a JSON object");
  return parsed;
}

function parseMetadata(value: unknown, file: string): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (value === undefined) return metadata;
  if (!isJsonObject(value)) throw corrupt(file, "its metadata is not an object");
  const entries = Object.entries(value);
  if (entries.length > MAX_METADATA_ENTRIES)
    throw corrupt(file, `its metadata has ${entries.length} entries, and ${MAX_METADATA_ENTRIES} is the limit`);
  for (const [key, text] of entries) {
    if (typeof text !== "string") throw corrupt(file, `its metadata entry ${quoted(key)} is not a text`);
    metadata.set(key, text);
  }
  return metadata;
}

function parseEntry(value: unknown, name: string, dataLength: number, file: string): HeaderEntry {
  const tensor = `tensor ${quoted(name)}`;
  if (!isJsonObject(value)) throw corrupt(file, `${tensor} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw corrupt(file, `${tensor} has no dtype`);
  const type = STORAGE_TYPES.get(dtype);
  if (type === undefined) {
    const known = [...STORAGE_TYPES.keys()].join(", ");
    const message = `${file} stores ${tensor} as ${quoted(dtype)}, which Kiln does not read: convert the file to one of ${known}.`;
    throw new KilnError("file_unsupported", message, { subject: file });
  }
  const dims = wholeNumbers(shape);
  if (dims === undefined) throw corrupt(file, `the shape of ${tensor} is not a list of whole numbers`);
  if (dims.length > MAX_RANK) throw corrupt(file, `${tensor} has ${dims.length} dimensions, and ${MAX_RANK} is the limit`);
  const range = wholeNumbers(offsets);
  const [begin, end] = range ?? [];
  if (begin === undefined || end === undefined || range?.length !== 2)
    throw corrupt(file, `${tensor} has no pair of whole data_offsets`);
  if (begin > end || end > dataLength) throw corrupt(file, `${tensor} lies at bytes ${begin} to ${end} of ${dataLength}`);
  const size = byteSize(dims, BYTES_PER_ELEMENT[type]);
  if (size !== end - begin)
    throw corrupt(file, `${tensor} of shape [${dims.join(", ")}] in ${dtype} does not fill its ${end - begin} bytes`);
  return { type, shape: dims, begin, end };
}

/** Elements times size; infinite where the product leaves the whole numbers that a double holds exactly. */
function byteSize(shape: readonly number[], elementBytes: number): number {
  if (shape.includes(0)) return 0;
  let size = elementBytes;
  for (const dim of shape) {
    size *= dim;
    if (!Number.isSafeInteger(size)) return Number.POSITIVE_INFINITY;
  }
  return size;
}

function wholeNumbers(value: unknown): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const numbers: number[] = [];
  for (const item of value) {
    if (typeof item !== "number" || !Number.isSafeInteger(item) || item < 0 || Object.is(item, -0)) return undefined;
    numbers.push(item);
  }
  return numbers;
}

/** The format forbids overlaps, holes and bytes after the last tensor: each would be a place to hide something. */
function checkCoverage(entries: ReadonlyMap<string, HeaderEntry>, dataLength: number, file: string): void {
  const sorted = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const [name, entry] of sorted) {
    if (entry.begin < position) throw corrupt(file, `tensor ${quoted(name)} overlaps the one before it`);
    if (entry.begin > position) throw corrupt(file, `bytes ${position} to ${entry.begin} belong to no tensor`);
    position = entry.end;
  }
  if (position !== dataLength) throw corrupt(file, `its tensors end at byte ${position} of ${dataLength}`);
}

/** A name from the file, short enough for a message and with control characters made visible. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
}
