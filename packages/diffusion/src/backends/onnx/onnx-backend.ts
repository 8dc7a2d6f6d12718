import { availableParallelism } from "node:os";
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { KilnError } from "../../errors.ts";
import type { Graph, GraphInput } from "../../graph/graph.ts";
import type { Tensor } from "../../graph/tensor.ts";
import type { Backend, CompiledGraph } from "../backend.ts";
import { lowerToOnnx } from "./lower.ts";
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
    async compile(graph: Graph): Promise<CompiledGraph> {
      const { model, weightBytes } = lowerToOnnx(graph, weights);
      const runtime = await loadRuntime();
      const session = await withTypedErrors(graph.name, () => runtime.InferenceSession.create(model, sessionOptions(threads)));
      return new OnnxGraph(graph, session, weightBytes, runtime);
    },
  };
}

type Runtime = typeof import("onnxruntime-node");

/** Loaded with the first network: whoever imports the package to look at files gets no native code into its process. */
async function loadRuntime(): Promise<Runtime> {
  return await import("onnxruntime-node");
}

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
      },
    },
  };
}

class OnnxGraph implements CompiledGraph {
  readonly inputs: readonly GraphInput[];
  readonly weightBytes: number;
  readonly #name: string;
  readonly #session: InferenceSession;
  readonly #runtime: Runtime;

  constructor(graph: Graph, session: InferenceSession, weightBytes: number, runtime: Runtime) {
    this.#name = graph.name;
    this.inputs = graph.inputs;
    this.#session = session;
    this.#runtime = runtime;
    this.weightBytes = weightBytes;
  }

  async run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor & { data: Float32Array }>> {
    const feeds: Record<string, OrtTensor> = {};
    for (const [name, { type, data, shape }] of Object.entries(inputs)) feeds[name] = new this.#runtime.Tensor(type, data, shape);
    const results = await withTypedErrors(this.#name, () => this.#session.run(feeds));
    const outputs: Record<string, Tensor & { data: Float32Array }> = {};
    for (const [name, { data, dims }] of Object.entries(results)) {
      if (!(data instanceof Float32Array))
        throw new KilnError("backend_failed", `ONNX Runtime gave ${name} of ${this.#name} in another type than float32.`);
      outputs[name] = { type: "float32", shape: dims, data };
    }
    return outputs;
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }
}

/** Native messages name allocation failures in several ways; all of them mean the same to the user. */
const OUT_OF_MEMORY = /bad_alloc|failed to allocate|out of memory|bfcarena/i;

async function withTypedErrors<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (OUT_OF_MEMORY.test(message)) {
      throw new KilnError("out_of_memory", `The ${name} did not fit into memory. Draw a smaller picture or fewer at once.`, {
        cause: error,
      });
    }
    throw new KilnError("backend_failed", `ONNX Runtime could not run the ${name}: ${message}`, { cause: error });
  }
}
