import { nativeCalls } from "../native-calls.ts";

/** NVIDIA's driver, asked what there is without opening a device: this takes no memory of it. */

export interface CudaDevice {
  readonly id: number;
  /** "NVIDIA H200". */
  readonly name: string;
  readonly memoryBytes: number;
  /** "9.0". */
  readonly computeCapability: string;
}

/** What the driver says; `why` says in a sentence why there is no device. */
export interface CudaDevices {
  readonly devices: readonly CudaDevice[];
  readonly why: string;
}

/** CUdevice_attribute. */
const COMPUTE_CAPABILITY = { major: 75, minor: 76 } as const;
const NAME_LENGTH = 256;

let known: CudaDevices | undefined;

/** The devices that this process may use (`CUDA_VISIBLE_DEVICES`), asked once. */
export function cudaDevices(): CudaDevices {
  known ??= ask();
  return known;
}

function ask(): CudaDevices {
  const none = (why: string): CudaDevices => ({ devices: [], why });
  if (process.platform !== "linux" || process.arch !== "x64") return none("CUDA is used on Linux x64 alone");
  let driver: Driver;
  try {
    driver = openDriver();
  } catch {
    return none("NVIDIA's driver (libcuda.so.1) is not installed");
  }
  const status = driver.initialise(0);
  if (status !== 0) return none(`NVIDIA's driver finds no device that it can use (cuInit gave ${status})`);
  const count: [number] = [0];
  driver.count(count);
  if (count[0] === 0) return none("NVIDIA's driver finds no device");
  const devices = Array.from({ length: count[0] }, (_, id) => describe(driver, id));
  return { devices, why: devices.map(({ id, name }) => `${name} is device ${id}`).join(", ") };
}

function describe(driver: Driver, id: number): CudaDevice {
  const name = Buffer.alloc(NAME_LENGTH);
  driver.name(name, NAME_LENGTH, id);
  const bytes: [number | bigint] = [0];
  driver.memory(bytes, id);
  const [major, minor]: [[number], [number]] = [[0], [0]];
  driver.attribute(major, COMPUTE_CAPABILITY.major, id);
  driver.attribute(minor, COMPUTE_CAPABILITY.minor, id);
  return {
    id,
    name: name.toString("utf8", 0, Math.max(0, name.indexOf(0))),
    memoryBytes: Number(bytes[0]),
    computeCapability: `${major[0]}.${minor[0]}`,
  };
}

interface Driver {
  readonly initialise: (flags: number) => number;
  readonly count: (count: [number]) => number;
  readonly name: (name: Uint8Array, length: number, device: number) => number;
  readonly memory: (bytes: [number | bigint], device: number) => number;
  readonly attribute: (value: [number], attribute: number, device: number) => number;
}

/** CUdevice handles are the devices' numbers. */
function openDriver(): Driver {
  const library = nativeCalls().load("libcuda.so.1");
  return {
    initialise: library.func("int cuInit(unsigned int flags)"),
    count: library.func("int cuDeviceGetCount(_Out_ int* count)"),
    name: library.func("int cuDeviceGetName(void* name, int length, int device)"),
    memory: library.func("int cuDeviceTotalMem_v2(_Out_ size_t* bytes, int device)"),
    attribute: library.func("int cuDeviceGetAttribute(_Out_ int* value, int attribute, int device)"),
  };
}
