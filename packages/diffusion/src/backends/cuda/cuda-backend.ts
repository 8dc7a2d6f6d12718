import { KilnError } from "../../errors.ts";
import type { Backend } from "../backend.ts";
import { OnnxRuntime, type SessionSettings } from "../onnxruntime-c/onnx-runtime.ts";
import { cudaDevices } from "./cuda-driver.ts";
import { CudaMemory } from "./cuda-memory.ts";
import { cudaOps } from "./cuda-ops.ts";
import { Device } from "./device.ts";
import { deviceBackend } from "./device-backend.ts";
import type { FoundCuda } from "./find-cuda.ts";
import { loadCudaLibraries } from "./load-cuda.ts";
import type { ComputeType } from "./weight-request.ts";

export interface CudaOptions {
  readonly libraries: FoundCuda;
  /** Default `float16`. In `float32` tensor cores do not round either. */
  readonly precision?: ComputeType;
  /** Which GPU, among those that the process may see. Default 0. */
  readonly deviceId?: number;
  /**
   * Whether each network's kernels are captured as a CUDA graph for each set of sizes, and played back as one. Default true: where
   * a capture fails, this is logged and networks run without.
   */
  readonly cudaGraphs?: boolean;
  /** Bytes that activations may take: of each session with CUDA graphs, of all sessions together without. Default: no limit. */
  readonly arenaLimit?: number;
  /** Sessions for different sizes that each network keeps on the device. Default 12; all go where memory is used up. */
  readonly maxSessions?: number;
  /** Times every op of every run into files whose names begin so, as ONNX Runtime writes them; closing the network ends them. */
  readonly profile?: string;
  /** More options of ONNX Runtime's CUDA provider, by their published names: `sdpa_kernel`, `fuse_conv_bias`, ... */
  readonly providerOptions?: Readonly<Record<string, string>>;
  /** Says on standard error which op went to which device. */
  readonly verbose?: boolean;
  readonly log?: (message: string) => void;
}

/** Each keeps its activations beside the weights. Rows come in few numbers (`padded-rows.ts`), for each size of pictures. */
const MAX_SESSIONS = 12;

/**
 * NVIDIA GPUs by ONNX Runtime's CUDA provider, through its C API.
 *
 * Its Node binding can set nothing but the device's number and copies inputs and outputs at every run. The provider that is built
 * into the GPU release is taken, and not the one that comes as a plugin of its own (onnxruntime-ep-cuda13): the plugin's first
 * release is 0.1, it lacks some of the provider's ops, and what it would make easier, options as text and one library, is little.
 * Weights are given by AddInitializer and not by AddExternalInitializers, which takes them from the machine's memory: so they lie
 * on the device once, whatever number of sessions reads them.
 *
 * @throws KilnError backend_unavailable, which names the library or says what is wrong with the device
 */
export function cudaBackend(options: CudaOptions): Backend {
  const { libraries, precision = "float16", deviceId = 0, cudaGraphs = true, maxSessions = MAX_SESSIONS, profile } = options;
  const { devices, why } = cudaDevices();
  const found = devices.find(({ id }) => id === deviceId);
  if (!found) throw new KilnError("backend_unavailable", `There is no CUDA device ${deviceId}: ${why}.`, { subject: "device" });
  loadCudaLibraries(libraries.folder);
  const memory = new CudaMemory(libraries.folder, deviceId);
  const runtime = new OnnxRuntime(libraries.library);
  runtime.checkCuda({ device_id: `${deviceId}` });
  if (!cudaGraphs) runtime.shareArena(memory.place, options.arenaLimit ?? 0);
  const device = new Device({
    runtime,
    memory,
    ops: cudaOps,
    settings: (captures) => settings(options, captures, cudaGraphs),
    captures: cudaGraphs,
    maxSessions,
    profile,
    log: options.log ?? ((message) => console.error(message)),
  });
  const name = `ONNX Runtime ${runtime.version}, CUDA device ${deviceId} (${found.name}), ${precision}`;
  const card = { name: found.name, memoryBytes: found.memoryBytes };
  return { ...deviceBackend(device, name, precision), device: `cuda:${deviceId}`, card };
}

/**
 * A session's settings. With CUDA graphs each session has an arena of its own: a graph plays back into the addresses of its
 * capture, where in a shared arena something that lasts might lie by then.
 */
function settings(options: CudaOptions, captures: boolean, ownArena: boolean): SessionSettings {
  const { precision = "float16", deviceId = 0, arenaLimit, providerOptions = {}, verbose = false } = options;
  return {
    verbose,
    cuda: {
      device_id: `${deviceId}`,
      // Memory comes by what is asked for: an arena that doubles would keep up to half of it unused.
      arena_extend_strategy: "kSameAsRequested",
      ...(arenaLimit === undefined || !ownArena ? {} : { gpu_mem_limit: `${arenaLimit}` }),
      // In words of the provider: cuDNN's heuristics with their best mode; nothing is tried out.
      cudnn_conv_algo_search: "EXHAUSTIVE",
      cudnn_conv_use_max_workspace: "1",
      use_tf32: precision === "float32" ? "0" : "1",
      enable_cuda_graph: captures ? "1" : "0",
      ...providerOptions,
    },
    config: {
      // An op without a kernel is an error with its name, and no quiet copy to the CPU and back.
      "session.disable_cpu_ep_fallback": "1",
      "session.use_device_allocator_for_initializers": "1",
      ...(ownArena ? {} : { "session.use_env_allocators": "1" }),
    },
  };
}
