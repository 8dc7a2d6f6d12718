import { existsSync } from "node:fs";
import { join } from "node:path";
import { KilnError } from "../../errors.ts";
import { nativeCalls } from "../native-calls.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { LEAST_DRIVER } from "./release.ts";

/** cudaMemcpyKind. */
const TO_DEVICE = 1;
const TO_HOST = 2;

/** cudaError_t (driver_types.h), as far as each means something of its own here. */
const ERROR = { memoryAllocation: 2, insufficientDriver: 35, noDevice: 100, invalidDevice: 101 } as const;

/** A GPU's memory, through CUDA's runtime library. All calls come from one thread, which works on the one device. */
export class CudaMemory implements DeviceMemory {
  readonly place: { readonly name: "Cuda"; readonly device: number };
  readonly #cuda: CudaRuntime;

  /**
   * @param folder where libcudart lies, if not where the system's loader looks.
   * @throws KilnError backend_unavailable where the device is not there, or its driver is too old
   */
  constructor(folder: string, device: number) {
    this.place = { name: "Cuda", device };
    this.#cuda = openCuda(folder);
    this.#check(this.#cuda.setDevice(device), "be used");
  }

  allocate(byteLength: number): bigint {
    const cell: [bigint | null] = [null];
    // A tensor without elements has an address too.
    this.#check(this.#cuda.allocate(cell, Math.max(byteLength, 1)), `give ${byteLength} bytes`);
    if (cell[0] === null) throw new KilnError("backend_failed", `CUDA device ${this.place.device} gave no address.`);
    return cell[0];
  }

  free(address: bigint): void {
    this.#check(this.#cuda.free(address), "take memory back");
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#check(this.#cuda.copyTo(address, bytes, bytes.byteLength, TO_DEVICE), `take ${bytes.byteLength} bytes`);
  }

  read(address: bigint, into: Uint8Array): void {
    this.#check(this.#cuda.copyFrom(into, address, into.byteLength, TO_HOST), `give back ${into.byteLength} bytes`);
  }

  /** A copy from pageable memory may return before its last part has arrived, and kernels run on streams of their own. */
  synchronize(): void {
    this.#check(this.#cuda.synchronize(), "finish");
  }

  state(): { free: number; total: number } {
    const [free, total]: [[number | bigint], [number | bigint]] = [[0], [0]];
    this.#check(this.#cuda.memory(free, total), "say how much memory is free");
    return { free: Number(free[0]), total: Number(total[0]) };
  }

  #check(status: number, what: string): void {
    if (status === 0) return;
    const { device } = this.place;
    const words = `CUDA device ${device} could not ${what}: ${this.#cuda.describe(status)} (${status})`;
    if (status === ERROR.memoryAllocation)
      throw new KilnError(
        "out_of_memory",
        `${words}. Draw a smaller picture or fewer at once, or give other programs' memory back.`,
      );
    if (status === ERROR.insufficientDriver)
      throw new KilnError("backend_unavailable", `${words}. CUDA 13 needs NVIDIA's driver ${LEAST_DRIVER} or later.`);
    if (status === ERROR.noDevice || status === ERROR.invalidDevice)
      throw new KilnError("backend_unavailable", `${words}. "nvidia-smi -L" lists the devices there are.`, { subject: "device" });
    throw new KilnError("backend_failed", `${words}.`);
  }
}

interface CudaRuntime {
  readonly setDevice: (device: number) => number;
  readonly allocate: (address: [bigint | null], size: number) => number;
  readonly free: (address: bigint) => number;
  readonly copyTo: (to: bigint, from: Uint8Array, size: number, kind: number) => number;
  readonly copyFrom: (to: Uint8Array, from: bigint, size: number, kind: number) => number;
  readonly synchronize: () => number;
  readonly memory: (free: [number | bigint], total: [number | bigint]) => number;
  readonly describe: (status: number) => string;
}

function openCuda(folder: string): CudaRuntime {
  const path = join(folder, "libcudart.so.13");
  const library = nativeCalls().load(existsSync(path) ? path : "libcudart.so.13");
  const copy = "int cudaMemcpy(void* to, const void* from, size_t size, int kind)";
  return {
    setDevice: library.func("int cudaSetDevice(int device)"),
    allocate: library.func("int cudaMalloc(_Out_ void** address, size_t size)"),
    free: library.func("int cudaFree(void* address)"),
    copyTo: library.func(copy),
    copyFrom: library.func(copy),
    synchronize: library.func("int cudaDeviceSynchronize()"),
    memory: library.func("int cudaMemGetInfo(_Out_ size_t* free, _Out_ size_t* total)"),
    describe: library.func("const char* cudaGetErrorString(int status)"),
  };
}
