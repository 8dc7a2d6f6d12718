import type { TensorView } from "../checkpoint/tensor-view.ts";
import type { Graph, GraphInput, NodeOf } from "../graph/graph.ts";
import type { Tensor } from "../graph/tensor.ts";

/**
 * Something that runs networks. A backend lowers the op vocabulary to its library's form, maps the
 * weights where they lie, and runs. Everything above this interface is the same on every device.
 */
export interface Backend {
  /** For logs and `kiln doctor`: "ONNX Runtime CPU float32". */
  readonly name: string;
  readonly precision: "float32" | "bfloat16" | "float16" | "int8";
  /** What computes, by the name that `--device` takes; absent where that is the CPU. */
  readonly device?: string;
  /** The graphics card, or the program that acts as one; absent on the CPU, and where the system does not tell. */
  readonly card?: GraphicsCard;
  compile(graph: Graph): Promise<CompiledGraph>;
  /**
   * The machine's memory that a tensor takes for as long as its network is compiled, in bytes; mapped files, which the system
   * may take back, are none. Absent where weights are not in the machine's memory: then no request is refused for its size.
   */
  readonly residentBytes?: (tensor: TensorView) => number;
  /** The weights of a network that lie in memory in int8, and not as `residentBytes` has it; absent where there are none. */
  readonly int8Weights?: (graph: Graph) => readonly NodeOf<"weight">[];
  /**
   * Whether networks that read the same tensors hold them once: one more of them costs little, and so a UNet and its ControlNets are
   * compiled as one network, whose residuals stay on the device. Elsewhere each is compiled for itself.
   */
  readonly sharesWeights?: boolean;
  /** How many rows the UNet is asked for where so many are wanted, at least as many: absent where every number is as good. */
  readonly paddedRows?: (rows: number) => number;
  /** Bytes of the device's own memory, where it has one. */
  readonly deviceMemory?: () => { readonly free: number; readonly total: number };
  /** The largest tensor that the device takes, in bytes, where it is known: what would be larger goes in tiles. */
  readonly largestTensorBytes?: number;
}

/** A graphics card by what its driver says of it; what is not known is absent. */
export interface GraphicsCard {
  /** "NVIDIA H200". */
  readonly name: string;
  /** `software` is a program that acts as a card. */
  readonly kind?: "discrete" | "integrated" | "virtual" | "software" | "other";
  /** Bytes of its own memory, or of the machine's where the two share theirs. */
  readonly memoryBytes?: number;
}

/** A network ready to run. Sizes marked by names in the graph's inputs may change from run to run. */
export interface CompiledGraph {
  /** What `run` wants, as the graph declared it. */
  readonly inputs: readonly GraphInput[];
  /** Memory that the compiled weights take, in bytes: an estimate for budgets. */
  readonly weightBytes: number;
  /** The same by tensor, where the backend shares weights among networks. */
  readonly sharedWeights?: ReadonlyMap<TensorView, number>;
  /** Runs once. The arrays given are not kept; the arrays returned are the caller's. */
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor & { data: Float32Array }>>>;
  dispose(): Promise<void>;
}
