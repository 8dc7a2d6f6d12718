import { statSync } from "node:fs";
import type { StorageType, TensorView } from "../../checkpoint/tensor-view.ts";
import { type Graph, type GraphInput, type Node, type NodeOf, type OpName, QUICK_GELU_ALPHA } from "../../graph/graph.ts";
import { one } from "../operands.ts";
import { dynamicConvolution } from "./dynamic-convolution.ts";
import { findGatedLayers, type GatedLayer } from "./gated-layers.ts";
import type { Int8Matrix, Int8Weights } from "./int8-weights.ts";
import { type ElementType, IrWriter, type Port } from "./ir-writer.ts";
import { layOut, type SpaceLayout } from "./weight-space.ts";

/** A graph as OpenVINO reads it, and where its weights have to lie. */
export interface LoweredGraph {
  readonly xml: string;
  readonly constants: Uint8Array;
  readonly layout: SpaceLayout;
  /** Bytes of the weights as they are stored. */
  readonly weightBytes: number;
}

const ELEMENT: Readonly<Record<StorageType, ElementType>> = {
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
  float64: "f64",
  float8_e4m3fn: "f8e4m3",
  float8_e5m2: "f8e5m2",
  int64: "i64",
  int32: "i32",
  uint8: "u8",
  bool: "boolean",
};

/**
 * Writes a graph as OpenVINO's IR, channels first, in float32 with weights marked as stored narrow: the plugin's precision hint
 * decides what it computes in. A graph typed float16 takes three times the time and memory to compile.
 * @param int8 weights that are read in int8 instead of as the graph has them
 */
export function lowerToIr(graph: Graph, int8: Int8Weights = new Map()): LoweredGraph {
  const files = new Set<string>();
  for (const node of graph.nodes) {
    if (node.op !== "weight") continue;
    const { source } = int8.get(node)?.values ?? node.attributes.tensor;
    if (typeof source === "string") files.add(source);
  }
  const layout = layOut([...files].map((path) => ({ path, size: statSync(path).size })));
  const lowering = new Lowering(layout, int8);
  for (const input of graph.inputs) lowering.input(input);
  const gated = findGatedLayers(graph);
  for (const node of graph.nodes) if (!gated.deferred.has(node)) lowering.lower(node, gated.layers.get(node));
  for (const value of graph.outputs.values()) lowering.writer.result(lowering.port(value.id));
  return { ...lowering.writer.finish(graph.name), layout, weightBytes: lowering.weightBytes };
}

type Rules = { readonly [K in OpName]: (node: NodeOf<K>, inputs: readonly Port[]) => Port };

class Lowering {
  readonly writer: IrWriter;
  readonly ports = new Map<number, Port>();
  weightBytes = 0;
  readonly #layout: SpaceLayout;
  readonly #int8: Int8Weights;
  /** Kernel height and width of weights that are inputs of the graph, by value. */
  readonly #openKernels = new Map<number, readonly [number, number]>();

  constructor(layout: SpaceLayout, int8: Int8Weights) {
    this.#layout = layout;
    this.#int8 = int8;
    this.writer = new IrWriter(layout.constantsAt);
  }

  input({ name, type, shape, value }: GraphInput): void {
    this.ports.set(value.id, this.writer.parameter(name, type === "float32" ? "f32" : "i64", shape));
    const [height, width] = shape.slice(2);
    if (typeof height === "number" && typeof width === "number") this.#openKernels.set(value.id, [height, width]);
  }

  port(id: number): Port {
    const port = this.ports.get(id);
    if (!port) throw new Error(`value ${id} is used before it is computed`);
    return port;
  }

  lower(node: Node, gated?: GatedLayer): void {
    if (gated) {
      this.ports.set(node.output.id, this.#gated(gated));
      return;
    }
    // Each rule takes the node of its own op; TypeScript cannot see that the table is read by the node's op.
    const rule = this.#rules[node.op] as (node: Node, inputs: readonly Port[]) => Port;
    const inputs = node.inputs.map(({ id }) => this.port(id));
    this.ports.set(node.output.id, rule(node, inputs));
  }

  readonly #rules: Rules = {
    weight: (node) => {
      const int8 = this.#int8.get(node);
      return int8 ? this.#int8Matrix(int8) : this.#weight(node.attributes.tensor, node.attributes.shape);
    },
    constant: ({ attributes: { data, shape } }) =>
      this.writer.constant("f32", shape, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    linear: (_, [x, weight, bias]) => {
      const product = this.writer.op("MatMul", "opset1", ports(x, weight), { transpose_a: false, transpose_b: true });
      return bias ? this.#add(product, bias) : product;
    },
    conv2d: (node, [x, weight, bias]) => {
      const kernel = this.#openKernels.get(node.inputs[1]?.id ?? -1);
      if (kernel)
        return dynamicConvolution(this.writer, { image: one(x), weight: one(weight), kernel, attributes: node.attributes });
      const { stride, padding } = node.attributes;
      const [top, left, bottom, right] = padding;
      const attributes = {
        strides: `${stride},${stride}`,
        dilations: "1,1",
        pads_begin: `${top},${left}`,
        pads_end: `${bottom},${right}`,
        auto_pad: "explicit",
      };
      const result = this.writer.op("Convolution", "opset1", ports(x, weight), attributes);
      return bias ? this.#add(result, this.#perChannel(bias)) : result;
    },
    groupNorm: ({ attributes: { groups, epsilon, silu } }, inputs) => {
      const normed = this.writer.op("GroupNormalization", "opset12", inputs, { num_groups: groups, epsilon });
      return silu ? this.#swish(normed, 1) : normed;
    },
    layerNorm: ({ attributes: { epsilon } }, [x, gamma, beta]) => {
      const normed = this.writer.op("MVN", "opset6", ports(x, this.writer.ints([-1])), {
        eps: epsilon,
        normalize_variance: true,
        eps_mode: "INSIDE_SQRT",
      });
      return this.#add(this.#multiply(normed, gamma), beta);
    },
    attention: (node, inputs) => this.#attention(node, inputs),
    geglu: ({ output }, [x]) => {
      const [hidden, gate] = this.writer.split(one(x), -1, [output.channels, output.channels]);
      return this.#multiply(hidden, this.#gelu(gate));
    },
    silu: (_, [x]) => this.#swish(x, 1),
    gelu: (_, [x]) => this.#gelu(x),
    quickGelu: (_, [x]) => this.#swish(x, QUICK_GELU_ALPHA),
    relu: (_, inputs) => this.writer.op("ReLU", "opset1", inputs),
    tanh: (_, inputs) => this.writer.op("Tanh", "opset1", inputs),
    add: (_, [a, b]) => this.#add(a, b),
    multiply: (_, [a, b]) => this.#multiply(a, b),
    scale: ({ attributes: { factor } }, [x]) => this.#multiply(x, this.writer.float(factor)),
    concat: ({ attributes: { axis } }, inputs) => this.writer.op("Concat", "opset1", inputs, { axis }),
    upsampleLike: (_, [x, reference]) => this.#interpolate(x, this.#pictureSize(reference), "sizes"),
    upsample2x: (_, [x]) =>
      this.#interpolate(x, this.writer.constant("f32", [2], new Uint8Array(new Float32Array([2, 2]).buffer)), "scales"),
    imageToTokens: (_, [x]) => this.#transpose(this.#reshape(x, this.writer.ints([0, 0, -1])), [0, 2, 1]),
    tokensToImage: ({ attributes: { channels } }, [x, reference]) => {
      const shape = this.writer.op(
        "Concat",
        "opset1",
        [this.writer.ints([0, channels]), this.#pictureSize(reference)],
        { axis: 0 },
        "i64",
      );
      return this.#reshape(this.#transpose(one(x), [0, 2, 1]), shape);
    },
    spread: (_, [x]) => this.writer.op("Unsqueeze", "opset1", ports(x, this.writer.ints([2, 3]))),
    pickToken: (_, [x, index]) => {
      const rows = this.writer.op("Unsqueeze", "opset1", ports(index, this.writer.ints([1])), {}, "i64");
      return this.writer.op("GatherND", "opset8", ports(x, rows), { batch_dims: 1 });
    },
  };

  /** geglu(x W' + b) as two layers, so that the plugin fuses the activation into the second and nothing has to be cut. */
  #gated({ x, weight, bias }: GatedLayer): Port {
    const [hidden, gate] = [0, 1].map((half) => {
      const product = this.writer.op("MatMul", "opset1", [this.port(x.id), this.#half(weight, half)], {
        transpose_a: false,
        transpose_b: true,
      });
      return bias ? this.#add(product, this.#half(bias, half)) : product;
    });
    return this.#multiply(hidden, this.#gelu(gate));
  }

  #half(node: NodeOf<"weight">, half: number): Port {
    const int8 = this.#int8.get(node);
    if (int8) return this.#int8Matrix({ values: halfOf(int8.values, half), scales: halfOf(int8.scales, half) });
    const { tensor, shape } = node.attributes;
    const rows = halfOf({ ...tensor, shape }, half);
    return this.#weight(rows, rows.shape);
  }

  #weight(view: TensorView, shape: readonly number[]): Port {
    const { type, transposed } = view;
    const tensor = this.#stored(ELEMENT[type], transposed ? [...view.shape].reverse() : shape, view);
    // Biases and norms are folded to float32 at once: the plugin fuses them into their neighbours only where they are constants.
    const wide = type === "float32" ? tensor : this.writer.convert(tensor, shape.length > 1);
    return transposed ? this.#transpose(wide, [1, 0]) : wide;
  }

  /** Bytes times their rows' scales, the form that the plugin computes in int8, rounding the other factor as it runs. */
  #int8Matrix({ values, scales }: Int8Matrix): Port {
    // Not marked as stored narrow: with the mark the plugin widens the bytes when it compiles.
    const wide = this.writer.convert(this.#stored("i8", values.shape, values), false);
    return this.#multiply(wide, this.#stored("f32", scales.shape, scales));
  }

  #stored(element: ElementType, shape: readonly number[], { source, offset, byteLength }: TensorView): Port {
    this.weightBytes += byteLength;
    return typeof source === "string"
      ? this.writer.stored(element, shape, (this.#layout.files.get(source) ?? 0) + offset, byteLength)
      : this.writer.constant(element, shape, source.subarray(offset, offset + byteLength));
  }

  #attention({ attributes: { heads, causal }, inputs: values, output }: NodeOf<"attention">, inputs: readonly Port[]): Port {
    if (heads === 1 && !causal) return this.#plainAttention(inputs, output.channels);
    const split = inputs.map((port, i) => {
      const width = (values[i]?.channels ?? 0) / heads;
      return this.#transpose(this.#reshape(port, this.writer.ints([0, 0, heads, width])), [0, 2, 1, 3]);
    });
    const attended = this.writer.op("ScaledDotProductAttention", "opset13", split, { causal });
    return this.#reshape(this.#transpose(attended, [0, 2, 1, 3]), this.writer.ints([0, 0, output.channels]));
  }

  /**
   * Attention with one wide head, as VAEs have it, in three operations. The plugin would fuse them, and its fused form falls to a
   * sixth of the speed where keys outgrow the cache (16,384 tokens of 512 channels). The scores are flattened between to keep them apart.
   */
  #plainAttention([query, key, value]: readonly Port[], channels: number): Port {
    const scaled = this.#multiply(query, this.writer.float(1 / Math.sqrt(channels)));
    const scores = this.writer.op("MatMul", "opset1", ports(scaled, key), { transpose_a: false, transpose_b: true });
    const shape = this.writer.op("ShapeOf", "opset3", [scores], { output_type: "i64" }, "i64");
    const keys = this.writer.op("Gather", "opset8", [shape, this.writer.ints([2]), this.writer.int(0)], { batch_dims: 0 }, "i64");
    const rows = this.writer.op("Concat", "opset1", [this.writer.ints([-1]), keys], { axis: 0 }, "i64");
    const flat = this.writer.op("Reshape", "opset1", [scores, rows], { special_zero: false });
    const weights = this.writer.op("Reshape", "opset1", [this.writer.op("Softmax", "opset8", [flat], { axis: -1 }), shape], {
      special_zero: false,
    });
    return this.writer.op("MatMul", "opset1", ports(weights, value), { transpose_a: false, transpose_b: false });
  }

  #swish(x: Port | undefined, beta: number): Port {
    // Swish wants its beta as a scalar.
    const scalar = this.writer.constant("f32", [], new Uint8Array(new Float32Array([beta]).buffer));
    return this.writer.op("Swish", "opset4", beta === 1 ? ports(x) : ports(x, scalar));
  }

  #gelu(x: Port | undefined): Port {
    return this.writer.op("Gelu", "opset7", ports(x), { approximation_mode: "ERF" });
  }

  #add(a: Port | undefined, b: Port | undefined): Port {
    return this.writer.op("Add", "opset1", ports(a, b), { auto_broadcast: "numpy" });
  }

  #multiply(a: Port | undefined, b: Port | undefined): Port {
    return this.writer.op("Multiply", "opset1", ports(a, b), { auto_broadcast: "numpy" });
  }

  #perChannel(vector: Port): Port {
    return this.#reshape(vector, this.writer.ints([1, -1, 1, 1]));
  }

  #reshape(x: Port | undefined, shape: Port): Port {
    return this.writer.op("Reshape", "opset1", ports(x, shape), { special_zero: true });
  }

  #transpose(x: Port, order: readonly number[]): Port {
    return this.writer.op("Transpose", "opset1", [x, this.writer.ints(order)]);
  }

  #pictureSize(image: Port | undefined): Port {
    const shape = this.writer.op("ShapeOf", "opset3", ports(image), { output_type: "i64" }, "i64");
    return this.writer.op("Gather", "opset8", [shape, this.writer.ints([2, 3]), this.writer.int(0)], { batch_dims: 0 }, "i64");
  }

  #interpolate(x: Port | undefined, target: Port, mode: "sizes" | "scales"): Port {
    const attributes = {
      mode: "nearest",
      shape_calculation_mode: mode,
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
      antialias: false,
      pads_begin: "0",
      pads_end: "0",
      cube_coeff: -0.75,
    };
    return this.writer.op("Interpolate", "opset11", ports(x, target, this.writer.ints([2, 3])), attributes);
  }
}

/** The first or second half of a tensor's rows. */
function halfOf(tensor: TensorView, half: number): TensorView {
  const [rows = 0, ...rest] = tensor.shape;
  const byteLength = tensor.byteLength / 2;
  return { ...tensor, offset: tensor.offset + half * byteLength, byteLength, shape: [rows / 2, ...rest] };
}

function ports(...given: readonly (Port | undefined)[]): Port[] {
  return given.map(one);
}
