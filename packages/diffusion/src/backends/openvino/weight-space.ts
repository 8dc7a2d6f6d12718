import { closeSync, fstatSync, openSync } from "node:fs";
import { KilnError } from "../../errors.ts";
import { nativeCalls } from "../native-calls.ts";
import type { Handle } from "./library.ts";

/**
 * One range of addresses in which the files of a model lie side by side, mapped and not read, with room for the graph's own
 * constants behind them: OpenVINO's reader wants all constants of a model in one buffer.
 */
export class WeightSpace {
  readonly pointer: Handle;
  readonly byteLength: number;
  readonly #address: bigint;

  private constructor(pointer: Handle, byteLength: number) {
    this.pointer = pointer;
    this.#address = nativeCalls().address(pointer);
    this.byteLength = byteLength;
  }

  /** Maps the files of a layout, and copies the constants behind them. */
  static map(layout: SpaceLayout, constants: Uint8Array): WeightSpace {
    const byteLength = layout.constantsAt + Math.max(constants.byteLength, 1);
    const reserved = libc().mmap(0n, byteLength, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0);
    const space = new WeightSpace(checked(reserved, byteLength), byteLength);
    for (const [path, start] of layout.files) space.#lay(path, start);
    libc().memcpy(space.#address + BigInt(layout.constantsAt), constants, constants.byteLength);
    return space;
  }

  /** Gives the addresses back. No model may use them any more. */
  unmap(): void {
    libc().munmap(this.#address, this.byteLength);
  }

  #lay(path: string, start: number): void {
    const descriptor = openSync(path, "r");
    try {
      const { size } = fstatSync(descriptor);
      checked(libc().mmap(this.#address + BigInt(start), size, READ, SHARED | FIXED, descriptor, 0), size);
    } finally {
      closeSync(descriptor);
    }
  }
}

/** Where each file begins, and where the constants do. */
export interface SpaceLayout {
  readonly files: ReadonlyMap<string, number>;
  readonly constantsAt: number;
}

/** Mappings begin at pages; large pages count where a kernel has them. */
const PAGE = 65_536;

/** Puts files side by side, each at the beginning of a page. */
export function layOut(files: readonly { readonly path: string; readonly size: number }[]): SpaceLayout {
  const starts = new Map<string, number>();
  let at = 0;
  for (const { path, size } of files) {
    if (starts.has(path)) continue;
    starts.set(path, at);
    at += Math.ceil(size / PAGE) * PAGE;
  }
  return { files: starts, constantsAt: at };
}

/** <sys/mman.h> on Linux. */
const READ = 1;
const WRITE = 2;
const SHARED = 1;
const PRIVATE = 2;
const FIXED = 16;
const ANONYMOUS = 32;

interface Libc {
  readonly mmap: (
    address: bigint,
    length: number,
    protection: number,
    flags: number,
    descriptor: number,
    offset: number,
  ) => Handle;
  readonly munmap: (address: bigint, length: number) => number;
  readonly memcpy: (to: bigint, from: Uint8Array, length: number) => Handle;
}

let loaded: Libc | undefined;

function libc(): Libc {
  if (!loaded) {
    const library = nativeCalls().load("libc.so.6");
    loaded = {
      mmap: library.func("void* mmap(size_t address, size_t length, int protection, int flags, int descriptor, int64_t offset)"),
      munmap: library.func("int munmap(size_t address, size_t length)"),
      memcpy: library.func("void* memcpy(size_t to, const void* from, size_t length)"),
    };
  }
  return loaded;
}

const FAILED = 2n ** 64n - 1n;

function checked(pointer: Handle, length: number): Handle {
  if (pointer === null || nativeCalls().address(pointer) === FAILED) {
    throw new KilnError("out_of_memory", `${Math.round(length / 2 ** 20)} MiB of addresses could not be mapped.`);
  }
  return pointer;
}
