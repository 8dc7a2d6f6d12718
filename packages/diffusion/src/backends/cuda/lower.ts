import { elementCount } from "../../checkpoint/views.ts";
import {
  type Graph,
  type GraphInput,
  type Node,
  type NodeOf,
  type OpName,
  type Ops,
  QUICK_GELU_ALPHA,
  type Value,
} from "../../graph/graph.ts";
import { CONTRIB_DOMAIN, DATA_TYPE, ModelWriter } from "../onnx/model-proto.ts";
import { one, three } from "../operands.ts";
import { channelsFirst, channelsLast, decomposedGroupNorm, decomposedSplitGelu, silu } from "./decomposed-ops.ts";
import { numberBytes } from "./float16.ts";
import { type FusionPlan, type NormNode, planFusions } from "./fusions.ts";
import type { GroupNormAttributes, KernelOps, KernelOpsMaker } from "./kernel-ops.ts";
import { normFits, writeNormOfSum } from "./norm-of-sum.ts";
import { withoutAbsent } from "./simplify.ts";
import { broadcastShape, channelsOf, imageShape, sameShape, type Traced } from "./traced.ts";
import type { ComputeType, WeightRequest } from "./weight-request.ts";
import { WeightWriter } from "./weight-writer.ts";

/** A port of the model: float32 or int64, row-major, images channels first, as the graph declares it. */
export interface ModelPort {
  readonly name: string;
  readonly type: "float32" | "int64";
  readonly shape: readonly number[];
}

/** A model for one set of sizes, and the weights that its session must be given. */
export interface LoweredGraph {
  readonly model: Uint8Array;
  /** By their names in the model. */
  readonly weights: ReadonlyMap<string, WeightRequest>;
  readonly inputs: readonly ModelPort[];
  readonly outputs: readonly ModelPort[];
}

export interface LoweringOptions {
  /** The sizes of every input. */
  readonly sizes: ReadonlyMap<string, readonly number[]>;
  /** Inputs that hold a single zero. */
  readonly absent: ReadonlySet<string>;
  readonly type: ComputeType;
  readonly ops: KernelOpsMaker;
}

/**
 * Writes a graph as an ONNX model for one set of sizes: images channels last from end to end, so that tokens and pixels lie alike
 * and every reshape between them is free; sums, biases and activations inside the kernels beside them. All sizes are numbers,
 * so that nothing is left to be computed about shapes while it runs.
 */
export function lowerWithSizes(graph: Graph, { sizes, absent, type, ops }: LoweringOptions): LoweredGraph {
  const simple = withoutAbsent(graph, absent);
  const lowering = new Lowering(simple, type, ops);
  const inputs = simple.inputs.map((input) => lowering.input(input, sizes.get(input.name)));
  // A sum is computed with the norm behind it, whose weights may stand later in the graph.
  for (const node of simple.nodes) if (node.op === "weight" || node.op === "constant") lowering.lower(node);
  for (const node of simple.nodes) if (node.op !== "weight" && node.op !== "constant") lowering.lower(node);
  const outputs = [...simple.outputs].map(([name, value]) => lowering.output(name, value));
  return { model: lowering.writer.finish(), weights: lowering.weights.requests, inputs, outputs };
}

type Rules = { readonly [K in OpName]: (node: NodeOf<K>) => Traced | undefined };

class Lowering {
  readonly writer: ModelWriter;
  readonly weights: WeightWriter;
  readonly #type: ComputeType;
  readonly #ops: KernelOps;
  readonly #plan: FusionPlan;
  readonly #values = new Map<number, Traced>();
  /** Inputs as they come in, until they are used as values. */
  readonly #inputs = new Map<number, ModelPort>();

  constructor(graph: Graph, type: ComputeType, ops: KernelOpsMaker) {
    this.writer = new ModelWriter(graph.name);
    this.weights = new WeightWriter(this.writer, type);
    this.#type = type;
    this.#ops = ops(this.writer, type);
    this.#plan = planFusions(graph);
  }

  input({ name, type, value }: GraphInput, shape: readonly number[] | undefined): ModelPort {
    if (!shape) throw new Error(`the input ${name} has no sizes`);
    this.writer.input(name, type, shape);
    const port = { name, type, shape };
    this.#inputs.set(value.id, port);
    return port;
  }

  output(name: string, value: Value): ModelPort {
    const traced = this.#at(value);
    const [n = 1, h = 1, w = 1, c = 1] = traced.shape;
    const isImage = traced.shape.length === 4;
    const ordered = isImage ? channelsFirst(this.writer, traced.name) : traced.name;
    const shape = isImage ? [n, c, h, w] : traced.shape;
    this.writer.output(name, "float32", shape);
    this.writer.rename(this.#cast(ordered, this.#type, "float32"), name);
    return { name, type: "float32", shape };
  }

  lower(node: Node): void {
    if (this.#values.has(node.output.id)) return; // a norm that was computed with its sum
    // Each rule takes the node of its own op; TypeScript cannot see that the table is read by the node's op.
    const rule = this.#rules[node.op] as (node: Node) => Traced | undefined;
    const traced = rule(node);
    if (traced) this.#values.set(node.output.id, traced);
  }

  /** A value with nothing left to be added to it. */
  #at(value: Value): Traced {
    const traced = this.#pending(value);
    if (!traced.bias) return traced;
    const bias = this.weights.vector(traced.bias);
    return { name: this.writer.op("Add", [traced.name, bias]), shape: traced.shape };
  }

  /** A value whose bias may still be to be added. */
  #pending(value: Value): Traced {
    const known = this.#values.get(value.id) ?? this.weights.operand(value) ?? this.#fromInput(value);
    if (!known) throw new Error(`value ${value.id} is used before it is computed`);
    this.#values.set(value.id, known);
    return known;
  }

  #fromInput(value: Value): Traced | undefined {
    const input = this.#inputs.get(value.id);
    if (!input) return undefined;
    const { name, type, shape } = input;
    if (type === "int64") return { name, shape };
    const cast = this.#cast(name, "float32", this.#type);
    if (shape.length !== 4) return { name: cast, shape };
    const [n = 1, c = 1, h = 1, w = 1] = shape;
    return { name: channelsLast(this.writer, cast), shape: [n, h, w, c] };
  }

  #cast(name: string, from: ComputeType, to: ComputeType): string {
    return from === to ? name : this.writer.op("Cast", [name], { to: DATA_TYPE[to] });
  }

  readonly #rules: Rules = {
    weight: (node) => this.weights.declare(node),
    constant: (node) => this.weights.declare(node),
    linear: (node) => this.#linear(node),
    conv2d: (node) => this.#convolution(node),
    groupNorm: (node) => {
      const x = this.#at(one(node.inputs[0]));
      return { name: this.#groupNorm(x, node.inputs, node.attributes), shape: x.shape };
    },
    layerNorm: (node) => {
      const [input, gamma, beta] = three(node.inputs);
      const x = this.#at(input);
      const inputs = [x.name, this.weights.vector(gamma), this.weights.vector(beta)];
      const attributes = { axis: -1, epsilon: { float: node.attributes.epsilon } };
      return { name: this.writer.op("LayerNormalization", inputs, attributes), shape: x.shape };
    },
    attention: ({ inputs, attributes: { heads, causal } }) => {
      const [query, key, value] = three(inputs).map((each) => this.#at(each));
      const [batch = 1, tokens = 1] = query?.shape ?? [];
      const names = [query, key, value].map((traced) => traced?.name ?? "");
      const attended = this.#contrib("MultiHeadAttention", names, { num_heads: heads, unidirectional: causal ? 1 : 0 });
      return { name: attended, shape: [batch, tokens, value ? channelsOf(value) : 1] };
    },
    geglu: ({ inputs: [input] }) => this.#geglu(one(input)),
    silu: (node) => this.#pointwise(node, (x) => silu(this.writer, x)),
    gelu: (node) => this.#pointwise(node, (x) => this.#contrib("Gelu", [x])),
    quickGelu: (node) => this.#pointwise(node, (x) => this.#contrib("QuickGelu", [x], { alpha: { float: QUICK_GELU_ALPHA } })),
    relu: (node) => this.#pointwise(node, (x) => this.writer.op("Relu", [x])),
    tanh: (node) => this.#pointwise(node, (x) => this.writer.op("Tanh", [x])),
    scale: (node) => {
      const factor = this.writer.inline(this.#type, [1], numberBytes(new Float32Array([node.attributes.factor]), this.#type));
      return this.#pointwise(node, (x) => this.writer.op("Mul", [x, factor]));
    },
    add: (node) => this.#add(node),
    multiply: ({ inputs: [a, b] }) => this.#binary("Mul", this.#at(one(a)), this.#at(one(b))),
    concat: ({ inputs, attributes: { axis } }) => {
      const parts = inputs.map((input) => this.#at(input));
      const rank = parts[0]?.shape.length ?? 1;
      const along = rank === 4 ? 3 : axis;
      const name = this.writer.op(
        "Concat",
        parts.map((part) => part.name),
        { axis: along },
      );
      const length = parts.reduce((sum, { shape }) => sum + (shape[along] ?? 0), 0);
      return { name, shape: (parts[0]?.shape ?? []).map((size, i) => (i === along ? length : size)) };
    },
    upsampleLike: ({ inputs: [x, reference] }) => {
      const [, height, width] = imageShape(this.#at(one(reference)));
      return this.#resize(this.#at(one(x)), height, width);
    },
    upsample2x: ({ inputs: [input] }) => {
      const x = this.#at(one(input));
      const [, height, width] = imageShape(x);
      return this.#resize(x, 2 * height, 2 * width);
    },
    imageToTokens: ({ inputs: [input] }) => {
      const x = this.#at(one(input));
      const [n, h, w, c] = imageShape(x);
      return this.#reshape(x, [n, h * w, c]);
    },
    tokensToImage: ({ inputs: [input, like] }) => {
      const reference = one(like);
      const raw = this.#inputs.get(reference.id)?.shape;
      const [, height, width] = raw ? [0, raw[2] ?? 1, raw[3] ?? 1] : imageShape(this.#pending(reference));
      const x = this.#pending(one(input));
      return this.#reshape(x, [x.shape[0] ?? 1, height, width, channelsOf(x)]);
    },
    spread: ({ inputs: [input] }) => {
      const x = this.#at(one(input));
      return this.#reshape(x, [x.shape[0] ?? 1, 1, 1, channelsOf(x)]);
    },
    pickToken: ({ inputs: [x, index] }) => {
      const tokens = this.#at(one(x));
      const rows = this.writer.op("Unsqueeze", [this.#at(one(index)).name, this.writer.ints([1])]);
      const [n = 1] = tokens.shape;
      return {
        name: this.writer.op("GatherND", [tokens.name, rows], { batch_dims: 1 }),
        shape: [n, channelsOf(tokens)],
      };
    },
  };

  #contrib(type: string, inputs: readonly string[], attributes: Parameters<ModelWriter["op"]>[2] = {}): string {
    return this.writer.op(type, inputs, attributes, CONTRIB_DOMAIN);
  }

  #pointwise({ inputs: [input] }: Node, compute: (x: string) => string): Traced {
    const x = this.#at(one(input));
    return { name: compute(x.name), shape: x.shape };
  }

  #binary(op: "Add" | "Mul", a: Traced, b: Traced): Traced {
    return { name: this.writer.op(op, [a.name, b.name]), shape: broadcastShape(a.shape, b.shape) };
  }

  #reshape({ name, shape, bias }: Traced, to: readonly number[]): Traced {
    const same = shape.length === to.length && shape.every((size, axis) => size === to[axis]);
    return { name: same ? name : this.writer.op("Reshape", [name, this.writer.ints(to)]), shape: to, bias };
  }

  /** Nearest neighbour: both axes' steps are told by sizes, which need not be whole multiples. */
  #resize(x: Traced, height: number, width: number): Traced {
    const [n, , , c] = imageShape(x);
    const attributes = {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    };
    const name = this.writer.op("Resize", [x.name, "", "", this.writer.ints([n, height, width, c])], attributes);
    return { name, shape: [n, height, width, c] };
  }

  #matmul(x: Traced, weight: string, out: number): Traced {
    const name = this.#contrib("FusedMatMul", [x.name, weight], { transB: 1 });
    return { name, shape: [...x.shape.slice(0, -1), out] };
  }

  #withBias(product: Traced, node: Node, bias: Value | undefined): Traced {
    const pending = { ...product, bias };
    if (!bias || this.#plan.heldBiases.has(node.output.id)) return pending;
    return { name: this.writer.op("Add", [product.name, this.weights.vector(bias)]), shape: product.shape };
  }

  #linear(node: NodeOf<"linear">): Traced {
    const [input, weight, bias] = node.inputs;
    const { name, out } = this.#matrix(one(weight));
    return this.#withBias(this.#matmul(this.#at(one(input)), name, out), node, bias);
  }

  /** A matrix [out, in] for the right-hand side of a product: a weight, or an input of the graph. */
  #matrix(weight: Value): { name: string; out: number } {
    const stored = this.weights.matrix(weight);
    if (stored) return stored;
    const given = this.#inputs.get(weight.id);
    if (!given) {
      const computed = this.#at(weight);
      return { name: computed.name, out: computed.shape[0] ?? 1 };
    }
    const [out = 1, ...rest] = given.shape;
    const flat = this.#reshape({ name: given.name, shape: given.shape }, [out, elementCount(rest)]);
    return { name: this.#cast(flat.name, "float32", this.#type), out };
  }

  #convolution(node: NodeOf<"conv2d">): Traced {
    const [input, weight, bias] = node.inputs;
    const x = this.#at(one(input));
    const [height, width] = this.#kernelSizes(one(weight));
    const { stride, padding } = node.attributes;
    if (height === 1 && width === 1 && stride === 1 && padding.every((side) => side === 0)) {
      const { name, out } = this.#matrix(one(weight));
      return this.#withBias(this.#matmul(x, name, out), node, bias);
    }
    const given = this.#inputs.get(one(weight).id);
    if (given) return this.#withBias(this.#givenConvolution(x, given, node.attributes), node, bias);
    const padded = this.#padUnevenly(x, padding);
    const { name, out } = this.weights.kernel(one(weight));
    const held = this.#plan.heldBiases.has(node.output.id);
    const ownBias = bias && !held ? this.weights.vector(bias) : undefined;
    const even = padded === x ? ([padding[0], padding[1]] as const) : ([0, 0] as const);
    const result = this.#ops.convolution(padded.name, name, ownBias, { kernel: [height, width], stride, padding: even });
    const shape = convolvedShape(x, out, [height, width], node.attributes);
    return held ? { name: result, shape, bias } : { name: result, shape };
  }

  #kernelSizes(weight: Value): readonly [number, number] {
    const [, , height = 1, width = 1] = this.#inputs.get(weight.id)?.shape ?? this.weights.shapeOf(weight);
    return [height, width];
  }

  /** A kernel that is no weight, such as an adapter's: it comes in as (out, in, height, width), and the image goes there and back. */
  #givenConvolution(x: Traced, kernel: ModelPort, { stride, padding }: Ops["conv2d"]): Traced {
    const [out = 1, , height = 1, width = 1] = kernel.shape;
    const weight = this.#cast(kernel.name, "float32", this.#type);
    const attributes = { strides: [stride, stride], pads: padding };
    const result = this.writer.op("Conv", [channelsFirst(this.writer, x.name), weight], attributes);
    const shape = convolvedShape(x, out, [height, width], { stride, padding });
    return { name: channelsLast(this.writer, result), shape };
  }

  /** cuDNN pads both sides alike; what differs is padded before. */
  #padUnevenly(x: Traced, [top, left, bottom, right]: readonly [number, number, number, number]): Traced {
    if (top === bottom && left === right) return x;
    const [n, h, w, c] = imageShape(x);
    const pads = this.writer.ints([0, top, left, 0, 0, bottom, right, 0]);
    return { name: this.writer.op("Pad", [x.name, pads]), shape: [n, h + top + bottom, w + left + right, c] };
  }

  #groupNorm(x: Traced, inputs: readonly Value[], attributes: GroupNormAttributes): string {
    const [, gamma, beta] = three(inputs);
    const vectors = { gamma: this.weights.float32Vector(gamma), beta: this.weights.float32Vector(beta) };
    const shape = imageShape(x);
    return this.#ops.groupNormFits(shape[3], attributes.groups)
      ? this.#ops.groupNorm(x.name, vectors.gamma, vectors.beta, shape, attributes)
      : decomposedGroupNorm(this.writer, this.#type, { x: x.name, ...vectors }, shape, attributes);
  }

  #geglu(input: Value): Traced {
    const x = this.#pending(input);
    const channels = channelsOf(x);
    const shape = [...x.shape.slice(0, -1), channels / 2];
    return x.bias && x.shape.length === 3 && this.#ops.biasSplitGeluFits(channels)
      ? { name: this.#ops.biasSplitGelu(x.name, this.weights.vector(x.bias)), shape }
      : { name: decomposedSplitGelu(this.writer, this.#at(input).name), shape };
  }

  #add({ inputs, output }: NodeOf<"add">): Traced | undefined {
    const [a, b] = [this.#pending(one(inputs[0])), this.#pending(one(inputs[1]))];
    const [values, traced] = b.bias && !a.bias ? [[1, 0] as const, [b, a] as const] : [[0, 1] as const, [a, b] as const];
    const norm = this.#plan.normOfSum.get(output.id);
    const [x, skip] = [traced[0], this.#at(one(inputs[values[1]]))];
    if (norm && normFits(this.#ops, norm, x, skip))
      return this.#sumWithNorm(norm, x, skip, (this.#plan.uses.get(output.id) ?? 0) > 1);
    if (x.bias && sameShape(x, skip) && x.shape.length > 2) {
      const rows = [x.shape[0] ?? 1, elementCount(x.shape.slice(1, -1)), channelsOf(x)];
      const [flat, flatSkip] = [this.#reshape(x, rows).name, this.#reshape(skip, rows).name];
      const sum = this.#ops.biasAdd(flat, this.weights.vector(x.bias), flatSkip);
      return this.#reshape({ name: sum, shape: rows }, x.shape);
    }
    return this.#binary("Add", this.#at(one(inputs[values[0]])), skip);
  }

  /** The sum's value, or undefined where the norm alone wants it. */
  #sumWithNorm(norm: NormNode, x: Traced, skip: Traced, wantsSum: boolean): Traced | undefined {
    const parts = { writer: this.writer, weights: this.weights, ops: this.#ops };
    const { normed, sum } = writeNormOfSum(parts, norm, x, skip, wantsSum);
    this.#values.set(norm.output.id, { name: normed, shape: x.shape });
    return wantsSum ? { name: sum, shape: x.shape } : undefined;
  }
}

function convolvedShape(x: Traced, out: number, kernel: readonly [number, number], { stride, padding }: Ops["conv2d"]): number[] {
  const [n, h, w] = imageShape(x);
  const [top, left, bottom, right] = padding;
  const along = (size: number, window: number): number => Math.floor((size - window) / stride) + 1;
  return [n, along(h + top + bottom, kernel[0]), along(w + left + right, kernel[1]), out];
}
