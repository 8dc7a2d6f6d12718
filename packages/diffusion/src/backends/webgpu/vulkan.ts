import { nativeCalls } from "../native-calls.ts";

/** What Vulkan says of one device. */
export interface VulkanDevice {
  readonly name: string;
  readonly kind: "discrete" | "integrated" | "virtual" | "software" | "other";
  /** Bytes of the largest range of memory that a shader sees as one: VkPhysicalDeviceLimits.maxStorageBufferRange. */
  readonly largestRange: number;
  /** Bytes of the largest heap of memory that is local to it: a card's own, the machine's where the two share theirs. */
  readonly memory: number;
  /** Whether shaders may index arrays of buffers and images by numbers that they compute: Dawn takes no device without it. */
  readonly indexesArrays: boolean;
}

/** The loader's file, as distributions name it. */
export const VULKAN_LOADER = "libvulkan.so.1";

/** VkPhysicalDeviceType: other, integrated, discrete, virtual, CPU. */
const KINDS = ["other", "integrated", "discrete", "virtual", "software"] as const;

const INSTANCE_CREATE_INFO = 1;
/** Bytes of VkInstanceCreateInfo on a 64-bit machine; all zero but its type, which asks for Vulkan 1.0 with nothing on top. */
const CREATE_INFO_BYTES = 64;
/** VkPhysicalDeviceProperties: where its members are, by the C header, and more room than it takes. */
const PROPERTIES = { bytes: 1024, type: 16, name: 20, nameBytes: 256, maxStorageBufferRange: 324 } as const;
/** VkPhysicalDeviceMemoryProperties: 32 types of 8 bytes behind their count, then up to 16 heaps of 16 bytes behind theirs. */
const MEMORY = { bytes: 1024, heapCount: 260, heaps: 264, heapBytes: 16, most: 16, flags: 8, deviceLocal: 1 } as const;
/** VkPhysicalDeviceFeatures: 55 flags of 4 bytes; of them shader{UniformBuffer,SampledImage,StorageBuffer,StorageImage}ArrayDynamicIndexing. */
const FEATURES = { bytes: 1024, flagBytes: 4, arrayIndexing: [33, 34, 35, 36] } as const;
/** Machines have a few devices; a driver that says more is not believed. */
const MOST_DEVICES = 64;

/**
 * The devices that Vulkan has on this machine, in its own order, asked through its loader: onnxruntime-node does not say
 * which one it takes, nor whether it is a graphics card or a program.
 * @throws Error where there is no loader, or where it refuses
 */
export function vulkanDevices(): VulkanDevice[] {
  const vulkan = nativeCalls().load(VULKAN_LOADER);
  const create = vulkan.func("int vkCreateInstance(void* info, void* allocator, _Out_ void** instance)");
  const destroy = vulkan.func("void vkDestroyInstance(void* instance, void* allocator)");
  const enumerate = vulkan.func("int vkEnumeratePhysicalDevices(void* instance, _Inout_ uint32_t* count, _Out_ void** devices)");
  const describe = vulkan.func("void vkGetPhysicalDeviceProperties(void* device, _Out_ uint8_t* properties)");
  const measure = vulkan.func("void vkGetPhysicalDeviceMemoryProperties(void* device, _Out_ uint8_t* properties)");
  const able = vulkan.func("void vkGetPhysicalDeviceFeatures(void* device, _Out_ uint8_t* features)");
  const info = Buffer.alloc(CREATE_INFO_BYTES);
  info.writeUInt32LE(INSTANCE_CREATE_INFO, 0);
  const instance: [unknown] = [null];
  check("vkCreateInstance", create(info, null, instance));
  try {
    const count: [number] = [0];
    check("vkEnumeratePhysicalDevices", enumerate(instance[0], count, null));
    const devices: unknown[] = new Array(Math.min(count[0], MOST_DEVICES)).fill(null);
    count[0] = devices.length;
    check("vkEnumeratePhysicalDevices", enumerate(instance[0], count, devices));
    return devices.map((device) => {
      const properties = Buffer.alloc(PROPERTIES.bytes);
      describe(device, properties);
      const memory = Buffer.alloc(MEMORY.bytes);
      measure(device, memory);
      const features = Buffer.alloc(FEATURES.bytes);
      able(device, features);
      const indexesArrays = FEATURES.arrayIndexing.every((flag) => features.readUInt32LE(flag * FEATURES.flagBytes) !== 0);
      return { ...read(properties), memory: largestHeap(memory), indexesArrays };
    });
  } finally {
    destroy(instance[0], null);
  }
}

/** VK_INCOMPLETE, above zero, says that there are more than were asked for. Failures are below zero. */
function check(call: string, result: number): void {
  if (result < 0) throw new Error(`${call} answers ${result}`);
}

function largestHeap(memory: Buffer): number {
  const count = Math.min(memory.readUInt32LE(MEMORY.heapCount), MEMORY.most);
  const heaps = Array.from({ length: count }, (_, i) => MEMORY.heaps + i * MEMORY.heapBytes);
  const own = heaps.filter((at) => (memory.readUInt32LE(at + MEMORY.flags) & MEMORY.deviceLocal) !== 0);
  return Math.max(0, ...own.map((at) => Number(memory.readBigUInt64LE(at))));
}

function read(properties: Buffer): Pick<VulkanDevice, "name" | "kind" | "largestRange"> {
  const name = properties.subarray(PROPERTIES.name, PROPERTIES.name + PROPERTIES.nameBytes);
  const end = name.indexOf(0);
  return {
    name: name.toString("utf8", 0, end < 0 ? name.length : end),
    kind: KINDS[properties.readUInt32LE(PROPERTIES.type)] ?? "other",
    largestRange: properties.readUInt32LE(PROPERTIES.maxStorageBufferRange),
  };
}
