import type { TensorView } from "../checkpoint/tensor-view.ts";
import type { Graph, GraphInput, Node, OpName, Ops, Value } from "./graph.ts";

const NONE: Record<string, never> = {};

/** Builds a graph, one method for each op of the vocabulary. Shapes: see `Ops`. */
export class GraphBuilder {
  readonly #name: string;
  readonly #needsFloat32Range: boolean;
  readonly #nodes: Node[] = [];
  readonly #inputs: GraphInput[] = [];
  readonly #outputs = new Map<string, Value>();
  #ids = 0;

  /** @param needsFloat32Range see `Graph`. */
  constructor(name: string, { needsFloat32Range = false }: { needsFloat32Range?: boolean } = {}) {
    this.#name = name;
    this.#needsFloat32Range = needsFloat32Range;
  }

  input(name: string, type: "float32" | "int64", shape: readonly (number | string)[]): Value {
    const channels = shape.length === 4 ? shape[1] : shape.at(-1);
    const value = this.#value(shape.length, typeof channels === "number" ? channels : Number.NaN);
    this.#inputs.push({ name, type, shape, value });
    return value;
  }

  output(name: string, value: Value): void {
    this.#outputs.set(name, value);
  }

  weight(tensor: TensorView, shape: readonly number[] = tensor.shape): Value {
    return this.#add("weight", { tensor, shape }, [], shape.length, channelsOf(shape));
  }

  constant(data: Float32Array, shape: readonly number[]): Value {
    return this.#add("constant", { data, shape }, [], shape.length, channelsOf(shape));
  }

  linear(x: Value, weight: Value, bias: Value | undefined, outChannels: number): Value {
    return this.#add("linear", NONE, bias ? [x, weight, bias] : [x, weight], x.rank, outChannels);
  }

  conv2d(x: Value, weight: Value, bias: Value | undefined, outChannels: number, attributes: Ops["conv2d"]): Value {
    return this.#add("conv2d", attributes, bias ? [x, weight, bias] : [x, weight], 4, outChannels);
  }

  groupNorm(x: Value, gamma: Value, beta: Value, attributes: Ops["groupNorm"]): Value {
    return this.#add("groupNorm", attributes, [x, gamma, beta], x.rank, x.channels);
  }

  layerNorm(x: Value, gamma: Value, beta: Value, epsilon: number): Value {
    return this.#add("layerNorm", { epsilon }, [x, gamma, beta], x.rank, x.channels);
  }

  attention(query: Value, key: Value, value: Value, attributes: Ops["attention"]): Value {
    return this.#add("attention", attributes, [query, key, value], 3, value.channels);
  }

  geglu(x: Value): Value {
    return this.#add("geglu", NONE, [x], x.rank, x.channels / 2);
  }

  silu(x: Value): Value {
    return this.#pointwise("silu", x);
  }

  gelu(x: Value): Value {
    return this.#pointwise("gelu", x);
  }

  quickGelu(x: Value): Value {
    return this.#pointwise("quickGelu", x);
  }

  relu(x: Value): Value {
    return this.#pointwise("relu", x);
  }

  tanh(x: Value): Value {
    return this.#pointwise("tanh", x);
  }

  scale(x: Value, factor: number): Value {
    return this.#add("scale", { factor }, [x], x.rank, x.channels);
  }

  add(a: Value, b: Value): Value {
    return this.#add("add", NONE, [a, b], Math.max(a.rank, b.rank), a.channels);
  }

  multiply(a: Value, b: Value): Value {
    return this.#add("multiply", NONE, [a, b], Math.max(a.rank, b.rank), a.channels);
  }

  /** Along the channels: axis 1 of images, the last of tokens and vectors. */
  concat(...parts: readonly [Value, ...Value[]]): Value {
    const { rank } = parts[0];
    const channels = parts.reduce((sum, part) => sum + part.channels, 0);
    return this.#add("concat", { axis: rank === 4 ? 1 : rank - 1 }, parts, rank, channels);
  }

  upsampleLike(x: Value, reference: Value): Value {
    return this.#add("upsampleLike", NONE, [x, reference], 4, x.channels);
  }

  upsample2x(x: Value): Value {
    return this.#pointwise("upsample2x", x);
  }

  imageToTokens(x: Value): Value {
    return this.#add("imageToTokens", NONE, [x], 3, x.channels);
  }

  tokensToImage(x: Value, reference: Value): Value {
    return this.#add("tokensToImage", { channels: x.channels }, [x, reference], 4, x.channels);
  }

  spread(x: Value): Value {
    return this.#add("spread", NONE, [x], 4, x.channels);
  }

  pickToken(x: Value, index: Value): Value {
    return this.#add("pickToken", NONE, [x, index], 2, x.channels);
  }

  /**
   * Takes another graph's nodes in.
   * @param given the value that stands for each of its inputs.
   * @returns its outputs, which are values of this graph now.
   */
  include({ inputs, nodes, outputs }: Graph, given: (input: GraphInput) => Value): Map<string, Value> {
    const values = new Map(inputs.map((input) => [input.value.id, given(input)]));
    const here = ({ id }: Value): Value => {
      const value = values.get(id);
      if (!value) throw new Error(`value ${id} is used before it is computed`);
      return value;
    };
    for (const node of nodes) {
      const output = this.#value(node.output.rank, node.output.channels);
      this.#nodes.push({ ...node, inputs: node.inputs.map(here), output });
      values.set(node.output.id, output);
    }
    return new Map([...outputs].map(([name, value]) => [name, here(value)]));
  }

  build(): Graph {
    return {
      name: this.#name,
      nodes: this.#nodes,
      inputs: this.#inputs,
      outputs: this.#outputs,
      needsFloat32Range: this.#needsFloat32Range,
    };
  }

  #pointwise(op: "silu" | "gelu" | "quickGelu" | "relu" | "tanh" | "upsample2x", x: Value): Value {
    return this.#add(op, NONE, [x], x.rank, x.channels);
  }

  #add<K extends OpName>(op: K, attributes: Ops[K], inputs: readonly Value[], rank: number, channels: number): Value {
    const output = this.#value(rank, channels);
    // The union of nodes is indexed by op; TypeScript cannot see that K picks one member of it.
    this.#nodes.push({ op, attributes, inputs, output } as Node);
    return output;
  }

  #value(rank: number, channels: number): Value {
    return { id: this.#ids++, rank, channels };
  }
}

function channelsOf(shape: readonly number[]): number {
  return (shape.length === 4 ? shape[1] : shape.at(-1)) ?? 1;
}
