import { freemem, totalmem } from "node:os";
import type { DeviceMemory } from "../backends/cuda/device-memory.ts";
import { nativeCalls } from "../backends/native-calls.ts";
import { KilnError } from "../errors.ts";

/** The machine's memory in a device's stead, so that what is written for a GPU runs in tests. Counts what is not freed. */
export class HostMemory implements DeviceMemory {
  readonly place = { name: "Cpu", device: 0 } as const;
  readonly #sizes = new Map<bigint, number>();
  readonly #libc = library();
  readonly #limit: number;

  /** @param limit bytes that may be allocated at once. */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  get blocks(): number {
    return this.#sizes.size;
  }

  get bytes(): number {
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  allocate(byteLength: number): bigint {
    if (this.bytes + byteLength > this.#limit)
      throw new KilnError("out_of_memory", `${byteLength} bytes are more than the test allows.`);
    const address = this.#libc.allocate(ALIGNMENT, Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT);
    if (address === null) throw new Error(`${byteLength} bytes could not be allocated`);
    this.#sizes.set(address, byteLength);
    return address;
  }

  free(address: bigint): void {
    if (!this.#sizes.delete(address)) throw new Error("freed twice");
    this.#libc.free(address);
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#libc.copy(address, bytes, bytes.byteLength);
  }

  read(address: bigint, into: Uint8Array): void {
    into.set(new Uint8Array(nativeCalls().view(address, into.byteLength)));
  }

  synchronize(): void {}

  state(): { free: number; total: number } {
    return { free: freemem(), total: totalmem() };
  }
}

const ALIGNMENT = 256;

function library(): {
  allocate: (alignment: number, size: number) => bigint | null;
  free: (address: bigint) => void;
  copy: (to: bigint, from: Uint8Array, size: number) => unknown;
} {
  const libc = nativeCalls().load("libc.so.6");
  return {
    allocate: libc.func("void* aligned_alloc(size_t alignment, size_t size)"),
    free: libc.func("void free(void* address)"),
    copy: libc.func("void* memcpy(void* to, const void* from, size_t size)"),
  };
}
