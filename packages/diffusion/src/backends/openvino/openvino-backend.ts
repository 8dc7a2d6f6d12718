import { availableParallelism } from "node:os";
import { BYTES_PER_ELEMENT } from "../../checkpoint/tensor-view.ts";
import { KilnError } from "../../errors.ts";
import type { Graph, GraphInput } from "../../graph/graph.ts";
import type { Tensor } from "../../graph/tensor.ts";
import type { Backend, CompiledGraph } from "../backend.ts";
import { findInt8Layers } from "./int8-layers.ts";
import { type Int8Options, type Int8Weights, int8Weights } from "./int8-weights.ts";
import { ELEMENT_TYPE, type Handle, type Library, loadLibrary, type OperationTime } from "./library.ts";
import { lowerToIr } from "./lower.ts";
import { WeightSpace } from "./weight-space.ts";

const DEVICE = "CPU";

/** Consecutive inputs of a layer that share a scale where they are rounded to int8: fewer are slower, more round outliers worse. */
const INT8_GROUP = 128;

export interface OpenVinoOptions extends Int8Options {
  /** The folder that holds OpenVINO's shared libraries. */
  readonly libraries: string;
  /**
   * `bfloat16` (default): four times as fast where the CPU has AMX or AVX512-BF16; elsewhere the library falls back by itself.
   * `int8`: as bfloat16, but linear layers over tokens multiply bytes: their weights are rounded once for each output (`int8Folder`
   * keeps them), their inputs as they come.
   */
  readonly precision?: "bfloat16" | "float32" | "int8";
  readonly threads?: number;
  /** Told after each run what its operations took; counting costs a few per cent. */
  readonly onProfile?: (network: string, operations: readonly OperationTime[]) => void;
}

/**
 * OpenVINO on the CPU. Weights are mapped where they lie and repacked by the plugin.
 * @throws KilnError backend_unavailable
 */
export function openVinoBackend({
  libraries,
  precision = "bfloat16",
  threads = availableParallelism(),
  onProfile,
  ...int8
}: OpenVinoOptions): Backend {
  const library = loadLibrary(libraries);
  const widest = precision === "float32" ? "float32" : "bfloat16";
  library.setProperties(library.core, DEVICE, {
    INFERENCE_PRECISION_HINT: widest === "float32" ? "f32" : "bf16",
    INFERENCE_NUM_THREADS: `${threads}`,
    NUM_STREAMS: "1",
    // The CPU plugin shortens wide multiplications to bfloat16 or int8 on its own where it is not told to be exact.
    ...(precision === "float32" ? { EXECUTION_MODE_HINT: "ACCURACY" } : {}),
    ...(precision === "int8" ? { DYNAMIC_QUANTIZATION_GROUP_SIZE: `${INT8_GROUP}` } : {}),
    ...(onProfile ? { PERF_COUNT: "YES" } : {}),
  });
  return {
    name: `OpenVINO, CPU, ${precision}`,
    precision,
    // The plugin keeps repacked copies; the files themselves are mapped.
    residentBytes: ({ byteLength, type }) => (byteLength / BYTES_PER_ELEMENT[type]) * BYTES_PER_ELEMENT[widest],
    ...(precision === "int8" ? { int8Weights: findInt8Layers } : {}),
    compile: async (graph) =>
      compile(library, graph, precision === "int8" ? await int8Weights(graph, int8) : undefined, onProfile),
  };
}

async function compile(
  library: Library,
  graph: Graph,
  int8: Int8Weights | undefined,
  onProfile: OpenVinoOptions["onProfile"],
): Promise<CompiledGraph> {
  const { xml, constants, layout, weightBytes } = lowerToIr(graph, int8);
  const space = WeightSpace.map(layout, constants);
  const weights = library.wrap(ELEMENT_TYPE.uint8, [space.byteLength], space.pointer);
  const text = Buffer.from(xml);
  const model = library.readModel(library.core, text, text.length, weights);
  const compiled = await library.compile(library.core, model, DEVICE).finally(() => library.free("model", model));
  return new OpenVinoGraph(library, graph, { compiled, weights, space, weightBytes, onProfile });
}

interface Parts {
  readonly compiled: Handle;
  readonly weights: Handle;
  readonly space: WeightSpace;
  readonly weightBytes: number;
  readonly onProfile: OpenVinoOptions["onProfile"];
}

class OpenVinoGraph implements CompiledGraph {
  readonly inputs: readonly GraphInput[];
  readonly weightBytes: number;
  readonly #library: Library;
  readonly #name: string;
  readonly #outputs: readonly string[];
  readonly #parts: Parts;
  readonly #request: Handle;
  /** A request runs one thing at a time; callers queue here. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(library: Library, graph: Graph, parts: Parts) {
    this.#library = library;
    this.#name = graph.name;
    this.inputs = graph.inputs;
    this.#outputs = [...graph.outputs.keys()];
    this.#parts = parts;
    this.weightBytes = parts.weightBytes;
    this.#request = library.createRequest(parts.compiled);
  }

  run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor & { data: Float32Array }>> {
    const turn = this.#last.then(() => this.#runAlone(inputs));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async dispose(): Promise<void> {
    await this.#last;
    this.#library.free("infer_request", this.#request);
    this.#library.free("compiled_model", this.#parts.compiled);
    this.#library.free("tensor", this.#parts.weights);
    this.#parts.space.unmap();
  }

  async #runAlone(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor & { data: Float32Array }>> {
    const tensors: Handle[] = [];
    try {
      for (const [index, { name }] of this.inputs.entries()) {
        const given = inputs[name];
        if (!given) throw new KilnError("backend_failed", `The input ${name} is missing.`);
        const tensor = this.#library.wrap(ELEMENT_TYPE[given.type], given.shape, given.data);
        tensors.push(tensor);
        this.#library.setInput(this.#request, index, tensor);
      }
      await this.#library.infer(this.#request);
      this.#parts.onProfile?.(this.#name, this.#library.readProfile(this.#request));
      return Object.fromEntries(
        this.#outputs.map((name, index) => [
          name,
          { type: "float32" as const, ...this.#library.readOutput(this.#request, index) },
        ]),
      );
    } finally {
      for (const tensor of tensors) this.#library.free("tensor", tensor);
    }
  }
}
