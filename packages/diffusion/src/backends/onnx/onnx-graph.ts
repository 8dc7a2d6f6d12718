import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { KilnError } from "../../errors.ts";
import type { Graph, GraphInput } from "../../graph/graph.ts";
import type { Tensor } from "../../graph/tensor.ts";
import type { CompiledGraph } from "../backend.ts";
import type { OnnxDialect } from "./dialect.ts";
import type { LoweredGraph } from "./lower.ts";

/** What a provider of ONNX Runtime's wants beside the model. */
export interface SessionSettings {
  readonly session: InferenceSession.SessionOptions;
  readonly indices: OnnxDialect["indices"];
  /** What a message of the library's means, where it means something that the provider alone can tell. */
  readonly failure?: (network: string, message: string) => KilnError | undefined;
}

type Runtime = typeof import("onnxruntime-node");

/** Loaded with the first network: whoever imports the package to look at files gets no native code into its process. */
async function loadRuntime(): Promise<Runtime> {
  return await import("onnxruntime-node");
}

/**
 * Makes a session of a lowered graph. Creating and running block the thread: the library's binding for Node computes on it.
 * @throws KilnError backend_failed, out_of_memory, and what `failure` makes of a message
 */
export async function openOnnxGraph(
  graph: Graph,
  { model, weightBytes }: LoweredGraph,
  settings: SessionSettings,
): Promise<CompiledGraph> {
  const runtime = await loadRuntime();
  const session = await typed(graph.name, settings, () => runtime.InferenceSession.create(model, settings.session));
  return new OnnxGraph(graph, session, { weightBytes, runtime, settings });
}

interface Parts {
  readonly weightBytes: number;
  readonly runtime: Runtime;
  readonly settings: SessionSettings;
}

class OnnxGraph implements CompiledGraph {
  readonly inputs: readonly GraphInput[];
  readonly weightBytes: number;
  readonly #name: string;
  readonly #session: InferenceSession;
  readonly #runtime: Runtime;
  readonly #settings: SessionSettings;

  constructor(graph: Graph, session: InferenceSession, { weightBytes, runtime, settings }: Parts) {
    this.#name = graph.name;
    this.inputs = graph.inputs;
    this.#session = session;
    this.#runtime = runtime;
    this.#settings = settings;
    this.weightBytes = weightBytes;
  }

  async run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor & { data: Float32Array }>> {
    const feeds: Record<string, OrtTensor> = {};
    for (const [name, tensor] of Object.entries(inputs)) feeds[name] = this.#feed(tensor);
    const results = await typed(this.#name, this.#settings, () => this.#session.run(feeds));
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

  #feed({ type, data, shape }: Tensor): OrtTensor {
    if (type === "int64" && this.#settings.indices === "int32")
      return new this.#runtime.Tensor("int32", Int32Array.from(data, Number), shape);
    return new this.#runtime.Tensor(type, data, shape);
  }
}

/** Native messages name allocation failures in several ways; all of them mean the same to the user. */
const OUT_OF_MEMORY = /bad_alloc|failed to allocate|out of memory|bfcarena/i;

async function typed<T>(name: string, { failure }: SessionSettings, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const known = failure?.(name, message);
    if (known) throw known;
    if (OUT_OF_MEMORY.test(message)) {
      throw new KilnError("out_of_memory", `The ${name} did not fit into memory. Draw a smaller picture or fewer at once.`, {
        cause: error,
      });
    }
    throw new KilnError("backend_failed", `ONNX Runtime could not run the ${name}: ${message}`, { cause: error });
  }
}
