import { readFileSync } from "node:fs";

/** Numbers of one tensor of a case file. The float types narrower than 32 bits are widened to float32, which is exact. */
export type CaseData = Float32Array | Float64Array | Uint8Array | Int32Array | BigInt64Array;

export interface CaseTensor {
  /** The type as the file names it ("F32", "BF16", "I64", ...). */
  readonly type: string;
  readonly shape: readonly number[];
  readonly data: CaseData;
}

export interface CaseFile {
  /** The object under `__metadata__.case` of the file's header; empty where there is none. */
  readonly meta: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, CaseTensor>;
}

/**
 * Reads a reference case: a safetensors file from a trusted folder, for tests alone. It checks nothing;
 * files from strangers go through the checkpoint reader.
 */
export function readCase(path: string): CaseFile {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header: Record<string, unknown> = JSON.parse(file.toString("utf8", 8, 8 + headerLength));
  const tensors = new Map<string, CaseTensor>();
  let meta: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      if (isRecord(entry) && typeof entry.case === "string") meta = JSON.parse(pythonNumbers(entry.case));
      continue;
    }
    if (!isTensorEntry(entry)) throw new Error(`${path}: the header's entry for ${name} is not a tensor's`);
    const [from, to] = entry.data_offsets;
    const bytes = Uint8Array.from(file.subarray(8 + headerLength + from, 8 + headerLength + to));
    tensors.set(name, { type: entry.dtype, shape: entry.shape, data: widen(entry.dtype, bytes.buffer) });
  }
  return { meta, tensors };
}

/** Python writes infinities bare, which JSON does not know; a number beyond the largest means the same to both. */
function pythonNumbers(json: string): string {
  return json.replace(/(: )(-?)Infinity/g, "$1$21e999");
}

/** A tensor of a case as float32, whatever its type in the file; throws where the case has none of that name. */
export function floats(file: CaseFile, name: string): Float32Array {
  const tensor = file.tensors.get(name);
  if (tensor === undefined) throw new Error(`the case has no tensor ${name}`);
  return tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data, Number);
}

function widen(type: string, buffer: ArrayBuffer): CaseData {
  switch (type) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return Float32Array.from(new Uint16Array(buffer), halfToNumber);
    case "BF16":
      return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
    case "I64":
      return new BigInt64Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "U8":
    case "BOOL":
      return new Uint8Array(buffer);
    default:
      throw new Error(`case files hold no tensors of type ${type}`);
  }
}

/** IEEE 754 binary16: 1 sign bit, 5 exponent bits, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isTensorEntry(value: unknown): value is { dtype: string; shape: number[]; data_offsets: [number, number] } {
  return isRecord(value) && typeof value.dtype === "string" && Array.isArray(value.shape) && Array.isArray(value.data_offsets);
}
