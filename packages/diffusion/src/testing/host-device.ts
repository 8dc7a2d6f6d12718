import type { Backend } from "../backends/backend.ts";
import { Device } from "../backends/cuda/device.ts";
import { deviceBackend } from "../backends/cuda/device-backend.ts";
import type { ComputeType } from "../backends/cuda/weight-request.ts";
import { bundledOnnxRuntime } from "../backends/onnxruntime-c/find-bundled.ts";
import { OnnxRuntime, type SessionSettings } from "../backends/onnxruntime-c/onnx-runtime.ts";
import { HostMemory } from "./host-memory.ts";
import { plainKernelOps } from "./plain-kernel-ops.ts";

/**
 * The CUDA backend on the machine's own memory and the CPU's kernels: the same lowering, sessions, weights and
 * buffers, with the GPU's own ops by their definitions.
 */
export interface HostDevice {
  readonly device: Device;
  readonly memory: HostMemory;
  readonly backend: Backend;
  dispose(): Promise<void>;
}

export interface HostDeviceOptions {
  /** Default float32. In float16 the CPU rounds what the graph says to float16, and computes within an op in float32. */
  readonly precision?: ComputeType;
  readonly maxSessions?: number;
  /** Bytes that the device has. */
  readonly memory?: number;
  readonly captures?: boolean;
  /** Over those that the CPU's sessions need. */
  readonly settings?: (captures: boolean) => SessionSettings;
  /** Where profiles begin, as for CUDA. */
  readonly profile?: string | undefined;
  readonly log?: (message: string) => void;
}

/** Undefined where the library is not for this system. */
export function openHostDevice(options: HostDeviceOptions = {}): HostDevice | undefined {
  const path = bundledOnnxRuntime();
  if (path === undefined) return undefined;
  const { maxSessions = 4, captures = false, settings = (): SessionSettings => ({}), profile, log = () => undefined } = options;
  const runtime = new OnnxRuntime(path);
  const memory = new HostMemory(options.memory);
  const device = new Device({
    runtime,
    memory,
    ops: plainKernelOps,
    // Packed weights are copies; a GPU's kernels pack none of these.
    settings: (now) => {
      const own = settings(now);
      return { threads: 1, ...own, config: { "session.disable_prepacking": "1", ...own.config } };
    },
    captures,
    maxSessions,
    profile,
    log,
  });
  return {
    device,
    memory,
    backend: deviceBackend(device, "the CUDA lowering on the CPU", options.precision ?? "float32"),
    dispose: () => runtime.dispose(),
  };
}
