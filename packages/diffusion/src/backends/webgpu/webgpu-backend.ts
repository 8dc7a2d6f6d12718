import type { InferenceSession } from "onnxruntime-node";
import { KilnError } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import type { Backend, CompiledGraph, GraphicsCard } from "../backend.ts";
import type { OnnxDialect } from "../onnx/dialect.ts";
import { lowerToOnnx } from "../onnx/lower.ts";
import { openOnnxGraph } from "../onnx/onnx-graph.ts";
import type { WeightPolicy } from "../onnx/weight-policy.ts";
import { AttentionKernels } from "./attention-kernels.ts";
import { webGpuDialect } from "./webgpu-dialect.ts";

export interface WebGpuOptions {
  /** What weights are held in; networks compute in float32. `float16` needs a device whose shaders know it. Default: float32. */
  readonly precision?: "float32" | "float16";
  /** What it runs on, as far as is known: it goes into the backend's name. */
  readonly card?: GraphicsCard;
  /** The largest tensor that the adapter takes, in bytes. */
  readonly largestTensorBytes?: number;
}

/** How far a fused attention may be from the right one, of numbers in -1..1: far more than rounding, far less than a key counted twice. */
const ATTENTION_TOLERANCE = 1e-4;

/**
 * ONNX Runtime's WebGPU provider, which comes with onnxruntime-node: graphics cards of every maker, over Vulkan, Direct3D 12 or
 * Metal. Weights and activations are on the device; inputs and outputs are copied at every call. Compiling and running
 * block the thread.
 *
 * Its kernels add products up in the type that they are given: in float16 a convolution of 1280 channels is wrong by 1.2 %, sixty
 * times as much as in torch, which adds in float32. So float16 is what weights are held in, and not what is computed with them.
 */
export function webGpuBackend({ precision = "float32", card, largestTensorBytes }: WebGpuOptions = {}): Backend {
  const weights = precision === "float16" ? "halved" : "resident";
  const kernels = new AttentionKernels((graph) => open(graph, weights, () => "fused"), ATTENTION_TOLERANCE);
  return {
    name: `ONNX Runtime, WebGPU over ${graphicsApi()}${card === undefined ? "" : ` on ${card.name}`}, ${precision}`,
    precision,
    device: "webgpu",
    ...(card === undefined ? {} : { card }),
    ...(largestTensorBytes === undefined ? {} : { largestTensorBytes }),
    compile: async (graph) => open(graph, weights, await kernels.choose(graph)),
  };
}

/** What the provider drives graphics cards with on this system, as it is built for it. */
function graphicsApi(): string {
  if (process.platform === "darwin") return "Metal";
  return process.platform === "win32" ? "Direct3D 12" : "Vulkan";
}

function open(graph: Graph, weights: WeightPolicy, attention: OnnxDialect["attention"]): Promise<CompiledGraph> {
  const dialect = webGpuDialect(attention);
  return openOnnxGraph(graph, lowerToOnnx(graph, weights, dialect), {
    session: webGpuSession(),
    indices: dialect.indices,
    failure,
  });
}

/** What a session on this provider is made with. */
export function webGpuSession(): InferenceSession.SessionOptions {
  return {
    executionProviders: ["webgpu"],
    executionMode: "sequential",
    // Beyond "basic" there are fusions into ops that this provider has no kernels for.
    graphOptimizationLevel: "basic",
    // The library writes what it throws to the error output as well.
    logSeverityLevel: 4,
    // Weights are named by their real paths: the root folder is the one that covers every file and every symlink.
    extra: { session: { model_external_initializers_file_folder_path: "/" } },
  };
}

/** What the library says, in the order in which its messages are looked at, and what it means. */
const FAILURES: readonly { readonly pattern: RegExp; readonly error: (network: string, message: string) => KilnError }[] = [
  {
    pattern: /Failed to get a WebGPU (adapter|device)/,
    error: (_, message) =>
      new KilnError(
        "backend_unavailable",
        `WebGPU finds no adapter that it can use: install the graphics card's driver (on Linux with libvulkan1), or draw on the CPU (${message}).`,
      ),
  },
  {
    pattern: /requires f16 but the device does not support it/,
    error: () =>
      new KilnError("backend_unavailable", "This adapter's shaders have no float16: ask for float32.", { subject: "precision" }),
  },
  {
    // A buffer that could not be made is known when something is bound to it.
    pattern:
      /Failed to create GPU buffer|Invalid Buffer|larger than the maximum storage buffer binding size|Too many storage buffers/,
    error: (network) =>
      new KilnError(
        "out_of_memory",
        `The ${network} needs a tensor that the graphics card cannot hold. Draw a smaller picture or fewer at once.`,
      ),
  },
  {
    pattern: /device lost/i,
    error: (network) =>
      new KilnError(
        "backend_failed",
        `The graphics card was lost while it ran the ${network}: start again, with a smaller picture.`,
      ),
  },
];

function failure(network: string, message: string): KilnError | undefined {
  return FAILURES.find(({ pattern }) => pattern.test(message))?.error(network, message);
}
