import type { Place } from "../onnxruntime-c/onnx-runtime.ts";

/** Memory that networks compute in: a GPU's, or, in tests, the machine's own. Addresses are as the device sees them. */
export interface DeviceMemory {
  readonly place: Place;
  /**
   * Space for so many bytes, aligned for every kernel; its contents are anything.
   * @throws KilnError out_of_memory
   */
  allocate(byteLength: number): bigint;
  free(address: bigint): void;
  /** Copies into the device's memory; the bytes are free to change when it returns. */
  write(address: bigint, bytes: Uint8Array): void;
  /** Copies out of the device's memory. */
  read(address: bigint, into: Uint8Array): void;
  /** Waits until everything that was written is there for kernels to see. */
  synchronize(): void;
  /** Bytes that are free, and bytes that there are. */
  state(): { readonly free: number; readonly total: number };
}
