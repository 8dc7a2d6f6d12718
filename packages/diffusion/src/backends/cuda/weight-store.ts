import { readBytes, readTensor } from "../../checkpoint/read-tensor.ts";
import type { TensorView } from "../../checkpoint/tensor-view.ts";
import type { OnnxRuntime } from "../onnxruntime-c/onnx-runtime.ts";
import type { Handle } from "../onnxruntime-c/ort-library.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { float16Code, numberBytes } from "./float16.ts";
import type { WeightRequest } from "./weight-request.ts";
import { kernelChannelsLast } from "./weight-writer.ts";

/** Files are read while other weights are turned and written: enough for that, and some 200 MB of the machine's memory at most. */
const READ_AT_ONCE = 4;

/**
 * Weights in the device's memory, each once: all sessions of a network, for whatever sizes, and all variants of it read the same
 * ones. One goes when nothing uses it any more.
 */
export class WeightStore {
  readonly #runtime: OnnxRuntime;
  readonly #memory: DeviceMemory;
  readonly #entries = new Map<string, Entry>();
  readonly #sources = new WeakMap<Uint8Array, number>();
  #sourceCount = 0;

  constructor(runtime: OnnxRuntime, memory: DeviceMemory) {
    this.#runtime = runtime;
    this.#memory = memory;
  }

  /** Bytes on the device. */
  get bytes(): number {
    return [...this.#entries.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Brings weights to the device, where they are not there yet. Each call is answered by one of `release`, also where this throws.
   * @returns a tensor for each name.
   * @throws KilnError out_of_memory, file_not_found, file_corrupt
   */
  async acquire(requests: ReadonlyMap<string, WeightRequest>): Promise<ReadonlyMap<string, Handle>> {
    const entries = [...requests].map(([name, request]) => [name, this.#enter(request)] as const);
    const tensors = new Map<string, Handle>();
    let failure: unknown;
    const waiting = entries.values();
    const loadOn = async (): Promise<void> => {
      for (const [name, entry] of waiting) {
        if (failure !== undefined) return;
        try {
          tensors.set(name, await entry.load());
        } catch (error) {
          failure ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: READ_AT_ONCE }, loadOn));
    if (failure === undefined) return tensors;
    this.release(requests);
    throw failure;
  }

  release(requests: ReadonlyMap<string, WeightRequest>): void {
    for (const request of requests.values()) {
      const key = this.#key(request);
      const entry = this.#entries.get(key);
      if (!entry || --entry.users > 0) continue;
      this.#entries.delete(key);
      entry.free();
    }
  }

  #enter(request: WeightRequest): Entry {
    const key = this.#key(request);
    const entry = this.#entries.get(key) ?? new Entry(request, this.#runtime, this.#memory);
    this.#entries.set(key, entry);
    entry.users++;
    return entry;
  }

  #key({ tensor: { source, offset, type: stored, transposed }, type, layout, shape }: WeightRequest): string {
    const file = typeof source === "string" ? source : `#${this.#numberOf(source)}`;
    return [file, offset, stored, transposed === true, type, layout, shape.join("x")].join("|");
  }

  #numberOf(source: Uint8Array): number {
    const known = this.#sources.get(source) ?? this.#sourceCount++;
    this.#sources.set(source, known);
    return known;
  }
}

/** One weight: loaded when it is first wanted, by the first that wants it. */
class Entry {
  users = 0;
  bytes = 0;
  readonly #request: WeightRequest;
  readonly #runtime: OnnxRuntime;
  readonly #memory: DeviceMemory;
  #loading: Promise<Handle> | undefined;
  #lies: { tensor: Handle; address: bigint } | undefined;
  #freed = false;

  constructor(request: WeightRequest, runtime: OnnxRuntime, memory: DeviceMemory) {
    this.#request = request;
    this.#runtime = runtime;
    this.#memory = memory;
  }

  load(): Promise<Handle> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  free(): void {
    this.#freed = true;
    if (!this.#lies) return;
    this.#runtime.releaseTensor(this.#lies.tensor);
    this.#memory.free(this.#lies.address);
    this.#lies = undefined;
    this.bytes = 0;
  }

  async #load(): Promise<Handle> {
    const { type, shape } = this.#request;
    const bytes = await weightBytes(this.#request);
    if (this.#freed) throw new Error("a weight was let go while it was read");
    const address = this.#memory.allocate(bytes.byteLength);
    this.#memory.write(address, bytes);
    const place = { place: this.#memory.place, address, byteLength: bytes.byteLength, type, shape };
    const tensor = this.#runtime.tensor(place);
    this.#lies = { tensor, address };
    this.bytes = bytes.byteLength;
    return tensor;
  }
}

/** A weight's numbers in the form that was asked for. */
export async function weightBytes({ tensor, type, layout, shape }: WeightRequest): Promise<Uint8Array> {
  const codes = type === "float16" ? await float16Codes(tensor) : undefined;
  if (codes) {
    const ordered = layout === "stored" ? codes : kernelChannelsLast(codes, shape);
    return new Uint8Array(ordered.buffer, ordered.byteOffset, ordered.byteLength);
  }
  const values = await readTensor(tensor);
  return numberBytes(layout === "stored" ? values : kernelChannelsLast(values, shape), type);
}

/** Two-byte types straight to float16's codes, which is several times as fast as by way of float32; others are undefined. */
async function float16Codes(tensor: TensorView): Promise<Uint16Array | undefined> {
  if (tensor.transposed === true || (tensor.type !== "float16" && tensor.type !== "bfloat16")) return undefined;
  const bytes = await readBytes(tensor);
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  const codes = new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
  if (tensor.type === "float16") return codes;
  const table = bfloat16Table();
  const turned = new Uint16Array(codes.length);
  for (let i = 0; i < turned.length; i++) turned[i] = table[codes[i] ?? 0] ?? 0; // a third of the time that map() takes
  return turned;
}

let table: Uint16Array | undefined;

/** The float16 code of each bfloat16 code, which is the upper half of a float32. */
function bfloat16Table(): Uint16Array {
  if (!table) {
    const values = new Float32Array(Uint32Array.from({ length: 65_536 }, (_, code) => code << 16).buffer);
    table = Uint16Array.from(values, float16Code);
  }
  return table;
}
