import type { Backend } from "../backends/backend.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";

/** Numbers that look random and are the same at every run. */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233) * 1.5);
}

/** A graph of one op or a few, whose output is `y`, and what it is run on. */
export interface OpGraph {
  readonly build: (graph: GraphBuilder) => Value;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** Runs such a graph on a backend. */
export async function runOpGraph(backend: Backend, { build, inputs }: OpGraph): Promise<Tensor & { data: Float32Array }> {
  const graph = new GraphBuilder("test");
  graph.output("y", build(graph));
  const compiled = await backend.compile(graph.build());
  const { y } = await compiled.run(inputs);
  await compiled.dispose();
  if (!y) throw new Error("no output");
  return y;
}

/** One graph for each op of the vocabulary, with open sizes where networks have them. */
export const OP_GRAPHS: Readonly<Record<string, OpGraph>> = {
  linear: {
    build: (g) => g.linear(tokens(g), g.constant(numbers(24 * 16, 1), [24, 16]), g.constant(numbers(24, 2), [24]), 24),
    inputs: { x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]) },
  },
  "linear of vectors, with a low-rank branch": {
    build: (g) => {
      const x = g.input("x", "float32", ["batch", 16]);
      const low = g.linear(x, g.input("down", "float32", ["rank", 16]), undefined, Number.NaN);
      return g.linear(low, g.input("up", "float32", [24, "rank"]), undefined, 24);
    },
    inputs: {
      x: floatTensor(numbers(2 * 16, 3), [2, 16]),
      down: floatTensor(numbers(3 * 16, 4), [3, 16]),
      up: floatTensor(numbers(24 * 3, 5), [24, 3]),
    },
  },
  "linear of tokens, with a low-rank branch": {
    build: (g) => {
      const low = g.linear(tokens(g), g.input("down", "float32", ["rank", 16]), undefined, Number.NaN);
      const gated = g.multiply(low, g.input("gate", "float32", ["batch", 1, "rank"]));
      return g.linear(gated, g.input("up", "float32", [24, "rank"]), undefined, 24);
    },
    inputs: {
      x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]),
      down: floatTensor(numbers(3 * 16, 4), [3, 16]),
      gate: floatTensor(numbers(2 * 3, 6), [2, 1, 3]),
      up: floatTensor(numbers(24 * 3, 5), [24, 3]),
    },
  },
  "conv2d, stride and uneven padding": {
    build: (g) =>
      g.conv2d(image(g), g.constant(numbers(6 * 8 * 9, 1), [6, 8, 3, 3]), g.constant(numbers(6, 2), [6]), 6, {
        stride: 2,
        padding: [0, 0, 1, 1],
      }),
    inputs: pixels(),
  },
  "conv2d of nine channels, as inpainting has": {
    build: (g) =>
      g.conv2d(
        g.input("x", "float32", ["batch", 9, "height", "width"]),
        g.constant(numbers(8 * 9 * 9, 1), [8, 9, 3, 3]),
        g.constant(numbers(8, 2), [8]),
        8,
        { stride: 1, padding: [1, 1, 1, 1] },
      ),
    inputs: { x: floatTensor(numbers(2 * 9 * 7 * 6, 6), [2, 9, 7, 6]) },
  },
  "groupNorm with silu": {
    build: (g) =>
      g.groupNorm(image(g), g.constant(numbers(8, 1), [8]), g.constant(numbers(8, 2), [8]), {
        groups: 4,
        epsilon: 1e-5,
        silu: true,
      }),
    inputs: pixels(),
  },
  "groupNorm of faint images, with two epsilons": {
    build: (g) => {
      const faint = g.scale(image(g), 1e-3);
      const norm = (epsilon: number) =>
        g.groupNorm(faint, g.constant(numbers(8, 1), [8]), g.constant(numbers(8, 2), [8]), { groups: 4, epsilon, silu: false });
      return g.concat(norm(1e-5), norm(1e-6));
    },
    inputs: pixels(),
  },
  layerNorm: {
    build: (g) => g.layerNorm(tokens(g), g.constant(numbers(16, 1), [16]), g.constant(numbers(16, 2), [16]), 1e-5),
    inputs: { x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]) },
  },
  "attention, causal": {
    build: (g) => g.attention(tokens(g), tokens(g, "k"), tokens(g, "v"), { heads: 4, causal: true }),
    inputs: Object.fromEntries(["x", "k", "v"].map((name, i) => [name, floatTensor(numbers(2 * 5 * 16, i), [2, 5, 16])])),
  },
  "attention over a text's window": {
    build: (g) => g.attention(tokens(g), tokens(g, "k", "words"), tokens(g, "v", "words"), { heads: 2, causal: false }),
    inputs: {
      x: floatTensor(numbers(2 * 70 * 16, 0), [2, 70, 16]),
      k: floatTensor(numbers(2 * 77 * 16, 1), [2, 77, 16]),
      v: floatTensor(numbers(2 * 77 * 16, 2), [2, 77, 16]),
    },
  },
  geglu: { build: (g) => g.geglu(tokens(g)), inputs: { x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]) } },
  "silu, gelu, quickGelu, relu, tanh, scale": {
    build: (g) => {
      const x = tokens(g);
      return g.concat(g.silu(x), g.gelu(x), g.quickGelu(x), g.relu(x), g.tanh(x), g.scale(x, -0.5));
    },
    inputs: { x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]) },
  },
  "upsampleLike, to an odd size": {
    build: (g) => g.upsampleLike(image(g), g.input("like", "float32", ["batch", 3, "h2", "w2"])),
    inputs: { ...pixels(), like: floatTensor(new Float32Array(2 * 3 * 13 * 11), [2, 3, 13, 11]) },
  },
  upsample2x: { build: (g) => g.upsample2x(image(g)), inputs: pixels() },
  "imageToTokens and back": {
    build: (g) => {
      const x = image(g);
      return g.add(
        x,
        g.tokensToImage(g.layerNorm(g.imageToTokens(x), g.constant(numbers(8, 1), [8]), g.constant(numbers(8, 2), [8]), 1e-5), x),
      );
    },
    inputs: pixels(),
  },
  "spread and multiply": {
    build: (g) => g.multiply(image(g), g.spread(g.input("v", "float32", ["batch", 8]))),
    inputs: { ...pixels(), v: floatTensor(numbers(16, 4), [2, 8]) },
  },
  pickToken: {
    build: (g) => g.pickToken(tokens(g), g.input("at", "int64", ["batch"])),
    inputs: {
      x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]),
      at: { type: "int64", shape: [2], data: new BigInt64Array([4n, 1n]) },
    },
  },
  "a convolution whose weights are an input": {
    build: (g) =>
      g.conv2d(image(g), g.input("w", "float32", ["rank", 8, 3, 3]), undefined, Number.NaN, { stride: 1, padding: [1, 1, 1, 1] }),
    inputs: { ...pixels(), w: floatTensor(numbers(5 * 8 * 9, 5), [5, 8, 3, 3]) },
  },
};

function tokens(graph: GraphBuilder, name = "x", count = "tokens"): Value {
  return graph.input(name, "float32", ["batch", count, 16]);
}

function image(graph: GraphBuilder): Value {
  return graph.input("x", "float32", ["batch", 8, "height", "width"]);
}

function pixels(): Record<string, Tensor> {
  return { x: floatTensor(numbers(2 * 8 * 7 * 6, 6), [2, 8, 7, 6]) };
}
