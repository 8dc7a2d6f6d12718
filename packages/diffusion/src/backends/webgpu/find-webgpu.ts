import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { KilnError } from "../../errors.ts";
import type { GraphicsCard } from "../backend.ts";
import { VULKAN_LOADER, type VulkanDevice, vulkanDevices } from "./vulkan.ts";

/** What the WebGPU provider would run on, and what to say of it. */
export interface WebGpuFinding {
  /** Whether the provider is in this system's build and finds something to run on, as far as can be known ahead. */
  readonly usable: boolean;
  /** The adapter; undefined where this system cannot be asked. */
  readonly adapter?: VulkanDevice;
  /** One sentence without its full stop. */
  readonly why: string;
}

/** Systems whose build of onnxruntime-node has the provider: all but Linux on ARM. */
const BUILDS = ["linux x64", "darwin arm64", "win32 x64", "win32 arm64"];

/** Where Linux shows graphics devices: DRM's, NVIDIA's own, and the one of Windows' subsystem. */
const DEVICE_FILES = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg"];

/** Dawn's own order where performance is asked for. */
const PREFERENCE: readonly VulkanDevice["kind"][] = ["discrete", "integrated", "virtual", "other", "software"];

/** Memory for SDXL: 3.46 thousand million numbers of float32 in its networks take 12.9 GiB, and a step needs some beside them. */
const ENOUGH_MEMORY = 15 * 2 ** 30;

let known: WebGpuFinding | undefined;

/** What WebGPU has to run on here. Asked once in a process: drivers take some tens of milliseconds to answer. */
export function findWebGpu(): WebGpuFinding {
  known ??= look();
  return known;
}

/** Whether a graphics card may be here at all: where not, nothing needs to be asked, and no driver needs to be loaded. */
export function mayHaveGraphicsCard(): boolean {
  return process.platform === "linux" && DEVICE_FILES.some((path) => existsSync(path));
}

/**
 * Why the adapter is not taken without being asked for; undefined where it is. A program that acts as a card is slower than the CPU
 * itself, and a card must hold what the CPU would have held.
 */
export function whyNotUnasked({ kind, memory }: VulkanDevice): string | undefined {
  if (kind === "software") return "which is a program, slower than ONNX Runtime on the CPU";
  if (memory < ENOUGH_MEMORY)
    return "too little for SDXL in float32: --device webgpu takes it all the same, for smaller checkpoints";
  return undefined;
}

/**
 * The adapter that was asked for by name of the backend; undefined where the system cannot say which it is.
 * @throws KilnError backend_unavailable
 */
export function requireWebGpu(): VulkanDevice | undefined {
  const { usable, adapter, why } = findWebGpu();
  if (!usable) throw new KilnError("backend_unavailable", `${why}.`, { subject: "device" });
  return adapter;
}

/**
 * What is known of the card that the provider takes. On Macs with Apple silicon, the only ones that it is built for, graphics are in the
 * processor, whose name is theirs; of cards on Windows nothing is known.
 */
export function describeCard(device: VulkanDevice | undefined): GraphicsCard | undefined {
  if (device) return { name: device.name, kind: device.kind, memoryBytes: device.memory };
  const name = process.platform === "darwin" ? cpus()[0]?.model : undefined;
  return name === undefined ? undefined : { name, kind: "integrated" };
}

function describe({ name, kind, memory }: VulkanDevice): string {
  return `${name} (${kind}, ${(memory / 2 ** 30).toFixed(0)} GiB)`;
}

const NO_DRIVER = "WebGPU finds no Vulkan driver: install the graphics card's";

/** Mesa's llvmpipe became able to between its releases 22.3 and 25.0. */
function tooOld(device: VulkanDevice): string {
  return `Vulkan has ${describe(device)}, whose driver cannot index arrays as WebGPU wants: install a newer one`;
}

function look(): WebGpuFinding {
  const build = `${process.platform} ${process.arch}`;
  if (!BUILDS.includes(build)) return { usable: false, why: `onnxruntime-node has no WebGPU on ${build}` };
  if (process.platform !== "linux")
    return { usable: true, why: "the adapters of this system cannot be listed ahead; a session tells whether there is one" };
  try {
    const devices = vulkanDevices().sort((a, b) => PREFERENCE.indexOf(a.kind) - PREFERENCE.indexOf(b.kind));
    const adapter = devices.find(({ indexesArrays }) => indexesArrays);
    if (!adapter) return { usable: false, why: devices[0] ? tooOld(devices[0]) : NO_DRIVER };
    const drawback = whyNotUnasked(adapter);
    return { usable: true, adapter, why: `Vulkan has ${describe(adapter)}${drawback ? `, ${drawback}` : ""}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      usable: false,
      why: `WebGPU needs Vulkan, and ${VULKAN_LOADER} cannot be used (${reason}): install libvulkan1 and the graphics card's driver`,
    };
  }
}
