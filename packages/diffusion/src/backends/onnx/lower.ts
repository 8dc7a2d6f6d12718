import type { StorageType } from "../../checkpoint/tensor-view.ts";
import { type Graph, type Node, type NodeOf, type OpName, QUICK_GELU_ALPHA, type Value } from "../../graph/graph.ts";
import { attentionAsProducts } from "./attention-products.ts";
import { CPU_DIALECT, type OnnxDialect } from "./dialect.ts";
import { CONTRIB_DOMAIN, DATA_TYPE, ModelWriter } from "./model-proto.ts";
import { isHalved, isMapped, type WeightPolicy, weightBytesOf } from "./weight-policy.ts";

/** The model as ONNX Runtime takes it, and the memory that its weights will take. */
export interface LoweredGraph {
  readonly model: Uint8Array;
  readonly weightBytes: number;
}

/** SiLU is x sigmoid(alpha x) with this alpha; QuickGelu is it with another. */
const SILU_ALPHA = 1;
/** Height and width of an image [N, C, H, W]. */
const PICTURE_AXES = { axes: [2, 3] } as const;

/**
 * Writes a graph as an ONNX model, channels first: ONNX's own ops, and those of ONNX Runtime's that the provider has (`dialect`).
 * Networks compute in float32. Weights stay in their files, in their storage type; a Cast stands behind each that is stored otherwise, which
 * runs when the session is created (`resident`) or at every call (`mapped`, `halved`).
 */
export function lowerToOnnx(graph: Graph, policy: WeightPolicy = "mapped", dialect: OnnxDialect = CPU_DIALECT): LoweredGraph {
  const lowering = new Lowering(graph.name, policy, dialect);
  for (const input of graph.inputs) lowering.input(input.name, input.type, input.shape, input.value);
  // ONNX Runtime runs what was written last as late as it can. Were the casts not first in the file, they would all run
  // ahead of the layers that want them, and every weight would lie in memory as float32 at once.
  for (const node of graph.nodes) if (node.op === "weight") lowering.lower(node);
  for (const node of graph.nodes) if (node.op !== "weight") lowering.lower(node);
  for (const [name, value] of graph.outputs) lowering.output(name, value);
  return { model: lowering.writer.finish(), weightBytes: lowering.weightBytes };
}

type Rules = { readonly [K in OpName]: (node: NodeOf<K>, inputs: readonly string[]) => string };

class Lowering {
  readonly writer: ModelWriter;
  weightBytes = 0;
  readonly #names = new Map<number, string>();
  readonly #replaceable = new Set<string>();
  readonly #policy: WeightPolicy;
  readonly #dialect: OnnxDialect;

  constructor(name: string, policy: WeightPolicy, dialect: OnnxDialect) {
    this.writer = new ModelWriter(name);
    this.#policy = policy;
    this.#dialect = dialect;
  }

  input(name: string, type: "float32" | "int64", shape: readonly (number | string)[], value: Value): void {
    this.writer.input(name, type === "int64" ? this.#dialect.indices : type, shape);
    this.#names.set(value.id, name);
  }

  output(name: string, value: Value): void {
    this.writer.output(name, "float32");
    this.writer.rename(this.#name(value), name);
  }

  lower(node: Node): void {
    const rule = this.#rules[node.op] as (node: Node, inputs: readonly string[]) => string;
    const result = rule(
      node,
      node.inputs.map((value) => this.#name(value)),
    );
    this.#names.set(node.output.id, result);
  }

  #name(value: Value): string {
    const name = this.#names.get(value.id);
    if (name === undefined) throw new Error(`value ${value.id} is used before it is computed`);
    return name;
  }

  #contrib(type: string, inputs: readonly string[], attributes: Parameters<ModelWriter["op"]>[2] = {}): string {
    return this.writer.op(type, inputs, attributes, CONTRIB_DOMAIN);
  }

  #cast(x: string, from: StorageType, to: "float32" | "float16"): string {
    return from === to ? x : this.writer.op("Cast", [x], { to: DATA_TYPE[to] });
  }

  /**
   * The same tensor as one that ONNX Runtime does not compute with ahead of time: it is given the shape that it has, by numbers that a
   * caller might replace. Nobody does.
   */
  #untilCalled(x: string, rank: number): string {
    const asItIs = this.writer.ints(new Array<number>(rank).fill(0));
    if (!this.#replaceable.has(asItIs)) this.writer.input(asItIs, "int64", [rank]);
    this.#replaceable.add(asItIs);
    return this.writer.op("Reshape", [x, asItIs]);
  }

  #sigmoidTimes(x: string, alpha: number): string {
    return this.#contrib("QuickGelu", [x], { alpha: { float: alpha } });
  }

  readonly #rules: Rules = {
    weight: ({ attributes: { tensor, shape } }) => {
      this.weightBytes += weightBytesOf(tensor, this.#policy);
      const [rows = 0, columns = 0] = shape;
      const stored = this.writer.stored(tensor, tensor.transposed ? [columns, rows] : shape);
      // A weight that a caller might replace is none that ONNX Runtime may cast ahead of time: nobody does.
      if (isMapped(tensor, this.#policy)) this.writer.input(stored, tensor.type, shape);
      const kept = isHalved(tensor, this.#policy) ? "float16" : "float32";
      const cast = this.#cast(stored, tensor.type, kept);
      const turned = tensor.transposed ? this.writer.op("Transpose", [cast], { perm: [1, 0] }) : cast;
      return kept === "float32" ? turned : this.#cast(this.#untilCalled(turned, shape.length), kept, "float32");
    },
    constant: ({ attributes: { data, shape } }) => this.writer.floats(data, shape),
    linear: (node, inputs) => {
      if (this.#dialect.linear === "convolution") return this.#linearAsConvolution(node, inputs);
      const [x = "", weight = "", bias] = inputs;
      const product = this.#contrib("FusedMatMul", [x, weight], { transB: 1 });
      return bias === undefined ? product : this.writer.op("Add", [product, bias]);
    },
    conv2d: (node, inputs) => this.#convolution(node, inputs),
    groupNorm: (node, inputs) => this.#groupNorm(node, inputs),
    layerNorm: ({ attributes: { epsilon } }, [x = "", gamma = "", beta = ""]) =>
      this.writer.op("LayerNormalization", [this.#toNormalise(x), gamma, beta], { axis: -1, epsilon: { float: epsilon } }),
    attention: ({ attributes: { heads, causal }, inputs: values }, inputs) => {
      const headWidth = (values[0]?.channels ?? Number.NaN) / heads;
      if (this.#dialect.attention({ headWidth, causal }) === "fused")
        return this.#contrib("MultiHeadAttention", inputs, { num_heads: heads, unidirectional: causal ? 1 : 0 });
      const [query = "", key = "", value = ""] = inputs;
      const channels = values[2]?.channels ?? Number.NaN;
      return attentionAsProducts(this.writer, {
        query,
        key,
        value,
        heads,
        headWidth,
        channels,
        causal,
      });
    },
    geglu: (_, [x = ""]) => {
      const [hidden = "", gate = ""] = this.writer.node("Split", [x], { axis: -1, num_outputs: 2 }, "", 2);
      return this.writer.op("Mul", [hidden, this.#contrib("Gelu", [gate])]);
    },
    silu: (_, [x = ""]) => this.#sigmoidTimes(x, SILU_ALPHA),
    gelu: (_, inputs) => this.#contrib("Gelu", inputs),
    quickGelu: (_, [x = ""]) => this.#sigmoidTimes(x, QUICK_GELU_ALPHA),
    relu: (_, inputs) => this.writer.op("Relu", inputs),
    tanh: (_, inputs) => this.writer.op("Tanh", inputs),
    add: (_, inputs) => this.writer.op("Add", inputs),
    multiply: (_, inputs) => this.writer.op("Mul", inputs),
    scale: ({ attributes: { factor } }, [x = ""]) => this.writer.op("Mul", [x, this.writer.filled(factor, 1)]),
    concat: ({ attributes: { axis } }, inputs) => this.writer.op("Concat", inputs, { axis }),
    upsampleLike: (_, [x = "", reference = ""]) => {
      if (this.#dialect.sizes === "apart") return this.#resize([x, "", "", this.#pictureSize(reference)], PICTURE_AXES);
      const outer = this.writer.op("Shape", [x], { start: 0, end: 2 });
      const sizes = this.writer.op("Concat", [outer, this.#pictureSize(reference)], { axis: 0 });
      return this.#resize([x, "", "", sizes]);
    },
    upsample2x: (_, [x = ""]) => this.#resize([x, "", this.writer.floats(new Float32Array([1, 1, 2, 2]), [4])]),
    imageToTokens: (_, [x = ""]) =>
      this.writer.op("Transpose", [this.writer.op("Reshape", [x, this.writer.ints([0, 0, -1])])], { perm: [0, 2, 1] }),
    tokensToImage: ({ attributes: { channels }, inputs: values }, [x = "", reference = ""]) => {
      if (this.#dialect.sizes === "apart" && values[1]?.channels === channels)
        return this.writer.op("Reshape", [
          this.writer.op("Transpose", [x], { perm: [0, 2, 1] }),
          this.writer.op("Shape", [reference]),
        ]);
      const shape = this.writer.op("Concat", [this.writer.ints([0, channels]), this.#pictureSize(reference)], { axis: 0 });
      return this.writer.op("Reshape", [this.writer.op("Transpose", [x], { perm: [0, 2, 1] }), shape]);
    },
    spread: (_, [x = ""]) => this.writer.op("Unsqueeze", [x, this.writer.ints([2, 3])]),
    pickToken: ({ output }, [x = "", index = ""]) => {
      const { writer } = this;
      if (this.#dialect.indices === "int64")
        return writer.op("GatherND", [x, writer.op("Unsqueeze", [index, writer.ints([1])])], { batch_dims: 1 });
      const everyChannel = writer.op("Expand", [
        writer.op("Reshape", [index, writer.ints([-1, 1, 1])]),
        writer.ints([1, 1, output.channels]),
      ]);
      return writer.op("Reshape", [writer.op("GatherElements", [x, everyChannel], { axis: 1 }), writer.ints([0, -1])]);
    },
  };

  #pictureSize(image: string): string {
    return this.writer.op("Shape", [image], { start: 2, end: 4 });
  }

  #resize(inputs: readonly string[], axes: { readonly axes?: readonly number[] } = {}): string {
    return this.writer.op("Resize", inputs, {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
      ...axes,
    });
  }

  #convolution({ attributes, inputs: values }: NodeOf<"conv2d">, [x = "", weight = "", ...bias]: readonly string[]): string {
    const channels = values[0]?.channels ?? Number.NaN;
    const zeros = this.#dialect.convolutionChannels(channels) - channels;
    // An image [N, C, H, W] and a weight [out, C, kH, kW] have these channels in the same place.
    const widened = (x: string): string =>
      zeros > 0 ? this.writer.op("Pad", [x, this.writer.ints([0, 0, 0, 0, 0, zeros, 0, 0])]) : x;
    const { stride, padding } = attributes;
    return this.writer.op("Conv", [widened(x), widened(weight), ...bias], { strides: [stride, stride], pads: padding });
  }

  /** Tokens [N, T, C] are an image of one column whose channels come last: two transpositions say so, and both fall away. */
  #linearAsConvolution({ inputs: values }: NodeOf<"linear">, [x = "", weight = "", bias]: readonly string[]): string {
    const { writer } = this;
    const given = bias === undefined ? [] : [bias];
    if (values[0]?.rank === 2) return writer.op("Gemm", [x, weight, ...given], { transB: 1 });
    const column = writer.ints([2]);
    const image = writer.op("Transpose", [writer.op("Unsqueeze", [x, column])], { perm: [0, 3, 1, 2] });
    const kernel = writer.op("Unsqueeze", [weight, writer.ints([2, 3])]);
    const result = writer.op("Conv", [image, kernel, ...given], { kernel_shape: [1, 1] });
    return writer.op("Squeeze", [writer.op("Transpose", [result], { perm: [0, 2, 3, 1] }), column]);
  }

  /** No kernel outside CUDA knows groups: each group becomes one channel of an instance normalisation. */
  #groupNorm(node: NodeOf<"groupNorm">, [x = "", gamma = "", beta = ""]: readonly string[]): string {
    const { groups, epsilon, silu } = node.attributes;
    const { writer } = this;
    const grouped = this.#toNormalise(writer.op("Reshape", [x, writer.ints([0, groups, -1])]));
    const { onlyEpsilon = epsilon } = this.#dialect;
    // x / sqrt(variance + epsilon) is the same for a multiple of x where epsilon is that multiple's square times as large.
    const factor = Math.sqrt(onlyEpsilon / epsilon);
    const scaled = factor === 1 ? grouped : writer.op("Mul", [grouped, writer.filled(factor, 1)]);
    const normed = writer.op("InstanceNormalization", [scaled, writer.filled(1, groups), writer.filled(0, groups)], {
      epsilon: { float: onlyEpsilon },
    });
    const image = writer.op("Reshape", [normed, writer.op("Shape", [x])]);
    const perChannel = (vector: string): string => writer.op("Reshape", [vector, writer.ints([-1, 1, 1])]);
    const result = writer.op("Add", [writer.op("Mul", [image, perChannel(gamma)]), perChannel(beta)]);
    return silu ? this.#sigmoidTimes(result, SILU_ALPHA) : result;
  }

  /** What is normalised along its last axis, as the provider's kernels want it. */
  #toNormalise(x: string): string {
    if (this.#dialect.norms === "as-is") return x;
    return this.writer.op("Sub", [x, this.writer.op("ReduceMean", [x, this.writer.ints([-1])])]);
  }
}
