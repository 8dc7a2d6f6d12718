import { availableParallelism } from "node:os";
import type { InferenceSession } from "onnxruntime-node";
import type { Backend } from "../backend.ts";
import { CPU_DIALECT } from "./dialect.ts";
import { lowerToOnnx } from "./lower.ts";
import { openOnnxGraph } from "./onnx-graph.ts";
import { residentBytesOf, type WeightPolicy } from "./weight-policy.ts";

export interface OnnxBackendOptions {
  /** Threads for one network. Default: what the machine has. */
  readonly threads?: number;
  /** Where weights are between calls. Default: `mapped`, which loads in no time and needs a quarter of the memory. */
  readonly weights?: WeightPolicy;
}

/** ONNX Runtime on the CPU in float32: comes with npm, works everywhere, and is the reference for conformance. */
export function onnxBackend({ threads = availableParallelism(), weights = "mapped" }: OnnxBackendOptions = {}): Backend {
  return {
    name: "ONNX Runtime, CPU, float32",
    precision: "float32",
    residentBytes: (tensor) => residentBytesOf(tensor, weights),
    compile: async (graph) =>
      openOnnxGraph(graph, lowerToOnnx(graph, weights), { session: sessionOptions(threads), indices: CPU_DIALECT.indices }),
  };
}

/**
 * How long a thread that has nothing to do stays awake: long enough for the gap between two layers, short enough to leave the processor
 * to others, from whom the library's own default takes it. Alone a picture takes as long; beside another process, a sixth less.
 */
const SPIN_MICROSECONDS = "100";

function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    // What "extended" fuses wins nothing here and takes longer to find; "all" keeps another copy of each convolution's weights.
    graphOptimizationLevel: "basic",
    // A plan of one block for all activations is made anew for each size, and kept beside the memory that is in use already.
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: {
      session: {
        // Weights are named by their real paths: the root folder is the one that covers every file and every symlink.
        model_external_initializers_file_folder_path: "/",
        // Packed weights are copies, and float32 files are used in place without them.
        disable_prepacking: "1",
        intra_op: { spin_duration_us: SPIN_MICROSECONDS },
      },
    },
  };
}
