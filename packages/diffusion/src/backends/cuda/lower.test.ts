import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph, Value } from "../../graph/graph.ts";
import { floatTensor, type Tensor } from "../../graph/tensor.ts";
import { type HostDevice, openHostDevice } from "../../testing/host-device.ts";
import type { Backend } from "../backend.ts";
import { onnxBackend } from "../onnx/onnx-backend.ts";
import { bundledOnnxRuntime } from "../onnxruntime-c/find-bundled.ts";

const library = bundledOnnxRuntime();
if (library === undefined) console.error("onnxruntime-node has no library for this system: the CUDA lowering is not tested.");

/** Numbers that look random and are the same at every run. */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233) * 1.5);
}

const image = (graph: GraphBuilder, name = "x"): Value => graph.input(name, "float32", ["batch", 8, `${name} h`, `${name} w`]);
const tokens = (graph: GraphBuilder, name = "x"): Value => graph.input(name, "float32", ["batch", "tokens", 16]);
const vector = (graph: GraphBuilder, length: number, seed: number): Value => graph.constant(numbers(length, seed), [length]);
const matrix = (graph: GraphBuilder, out: number, channels: number, seed: number): Value =>
  graph.constant(numbers(out * channels, seed), [out, channels]);
const kernel = (graph: GraphBuilder, out: number, channels: number, side: number, seed: number): Value =>
  graph.constant(numbers(out * channels * side * side, seed), [out, channels, side, side]);
const pixels = floatTensor(numbers(2 * 8 * 7 * 6, 6), [2, 8, 7, 6]);
const words = floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]);
const even = { stride: 1, padding: [1, 1, 1, 1] } as const;
const norm = { groups: 4, epsilon: 1e-5, silu: true } as const;

/** Every way that the lowering has, as a graph: what is fused is computed here both ways. */
const GRAPHS: Record<string, { build: (g: GraphBuilder) => Value | Value[]; inputs: Record<string, Tensor> }> = {
  "linear, with and without bias": {
    build: (g) => [
      g.linear(tokens(g), matrix(g, 24, 16, 1), vector(g, 24, 2), 24),
      g.linear(tokens(g, "y"), matrix(g, 24, 16, 3), undefined, 24),
    ],
    inputs: { x: words, y: words },
  },
  "a residual that a norm follows, and that is used again": {
    build: (g) => {
      const x = tokens(g);
      const h = g.add(x, g.linear(x, matrix(g, 16, 16, 1), vector(g, 16, 2), 16));
      return g.add(h, g.layerNorm(h, vector(g, 16, 3), vector(g, 16, 4), 1e-5));
    },
    inputs: { x: words },
  },
  "a residual of two layers with biases": {
    build: (g) => {
      const x = tokens(g);
      const [a, b] = [1, 2].map((seed) => g.linear(x, matrix(g, 16, 16, seed), vector(g, 16, seed + 5), 16));
      return g.add(a ?? x, b ?? x);
    },
    inputs: { x: words },
  },
  geglu: {
    build: (g) => g.geglu(g.linear(tokens(g), matrix(g, 24, 16, 1), vector(g, 24, 2), 24)),
    inputs: { x: words },
  },
  "geglu without bias": { build: (g) => g.geglu(tokens(g)), inputs: { x: words } },
  "attention, causal": {
    build: (g) => g.attention(tokens(g), tokens(g, "k"), tokens(g, "v"), { heads: 4, causal: true }),
    inputs: { x: words, k: floatTensor(numbers(160, 8), [2, 5, 16]), v: floatTensor(numbers(160, 9), [2, 5, 16]) },
  },
  "a ResNet: bias, embedding and norm in one, then the residual": {
    build: (g) => {
      const x = image(g);
      const embedding = g.linear(g.input("e", "float32", ["batch", 16]), matrix(g, 8, 16, 1), vector(g, 8, 2), 8);
      let h = g.conv2d(g.groupNorm(x, vector(g, 8, 3), vector(g, 8, 4), norm), kernel(g, 8, 8, 3, 5), vector(g, 8, 6), 8, even);
      h = g.groupNorm(g.add(h, g.spread(embedding)), vector(g, 8, 7), vector(g, 8, 8), norm);
      return g.add(x, g.conv2d(h, kernel(g, 8, 8, 3, 9), vector(g, 8, 10), 8, even));
    },
    inputs: { x: pixels, e: floatTensor(numbers(32, 3), [2, 16]) },
  },
  "a transformer's way from image to tokens and back, and a norm behind the sum": {
    build: (g) => {
      const x = image(g);
      const projected = g.linear(g.imageToTokens(x), matrix(g, 8, 8, 1), vector(g, 8, 2), 8);
      const h = g.add(x, g.tokensToImage(projected, x));
      return [g.groupNorm(h, vector(g, 8, 3), vector(g, 8, 4), { ...norm, silu: false }), g.concat(h, x)];
    },
    inputs: { x: pixels },
  },
  "conv2d with uneven padding and a stride; of one pixel": {
    build: (g) => {
      const h = g.conv2d(image(g), kernel(g, 6, 8, 3, 1), vector(g, 6, 2), 6, { stride: 2, padding: [0, 0, 1, 1] });
      return g.conv2d(h, kernel(g, 4, 6, 1, 3), vector(g, 4, 4), 4, { stride: 1, padding: [0, 0, 0, 0] });
    },
    inputs: { x: pixels },
  },
  "an adapter's branch, whose kernels are inputs": {
    build: (g) => {
      const low = g.conv2d(image(g), g.input("down", "float32", ["rank", 8, 3, 3]), undefined, Number.NaN, even);
      const gated = g.multiply(low, g.input("gate", "float32", ["batch", "rank", 1, 1]));
      const up = g.input("up", "float32", [8, "rank", 1, 1]);
      return g.conv2d(gated, up, undefined, 8, { stride: 1, padding: [0, 0, 0, 0] });
    },
    inputs: {
      x: pixels,
      down: floatTensor(numbers(5 * 8 * 9, 5), [5, 8, 3, 3]),
      gate: floatTensor(numbers(10, 6), [2, 5, 1, 1]),
      up: floatTensor(numbers(40, 7), [8, 5, 1, 1]),
    },
  },
  "a residual input that is a single zero, one that is not, and a norm": {
    build: (g) => {
      const [x, none, some] = [image(g), ...["none", "some"].map((name) => g.input(name, "float32", ["a", "b", "c", "d"]))];
      const h = g.add(x, g.conv2d(x, kernel(g, 8, 8, 3, 1), vector(g, 8, 2), 8, even));
      const absent = g.add(h, none ?? x);
      return [g.groupNorm(absent, vector(g, 8, 3), vector(g, 8, 4), norm), g.add(absent, some ?? x)];
    },
    inputs: { x: pixels, none: floatTensor(new Float32Array(1), [1, 1, 1, 1]), some: pixels },
  },
  "silu, gelu, quickGelu, relu, tanh, scale": {
    build: (g) => {
      const x = tokens(g);
      return g.concat(g.silu(x), g.gelu(x), g.quickGelu(x), g.relu(x), g.tanh(x), g.scale(x, -0.5));
    },
    inputs: { x: words },
  },
  "upsampling: twofold, and to an odd size": {
    build: (g) => [g.upsample2x(image(g)), g.upsampleLike(image(g, "y"), image(g, "like"))],
    inputs: { x: pixels, y: pixels, like: floatTensor(numbers(2 * 8 * 13 * 11, 1), [2, 8, 13, 11]) },
  },
  pickToken: {
    build: (g) => g.pickToken(tokens(g), g.input("at", "int64", ["batch"])),
    inputs: { x: words, at: { type: "int64", shape: [2], data: new BigInt64Array([4n, 1n]) } },
  },
};

function graphOf(build: (g: GraphBuilder) => Value | Value[]): Graph {
  const graph = new GraphBuilder("test");
  const values = build(graph);
  for (const [i, value] of (Array.isArray(values) ? values : [values]).entries()) graph.output(`y${i}`, value);
  return graph.build();
}

async function run(backend: Backend, graph: Graph, inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const compiled = await backend.compile(graph);
  const outputs = await compiled.run(inputs);
  await compiled.dispose();
  return outputs;
}

describe.runIf(library !== undefined)("the CUDA lowering, with its kernels by their definitions", () => {
  let host: HostDevice | undefined;
  beforeAll(() => {
    host = openHostDevice();
  });
  afterAll(async () => {
    expect(host?.memory.blocks).toBe(0);
    await host?.dispose();
    expect(host?.device.runtime.library.alive).toEqual(new Map());
  });

  it.each(Object.entries(GRAPHS))("computes %s as ONNX Runtime's own lowering does", async (_, { build, inputs }) => {
    if (!host) throw new Error("no device");
    const graph = graphOf(build);
    const expected = await run(onnxBackend({ threads: 1 }), graph, inputs);
    const actual = await run(host.backend, graph, inputs);
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [name, { data, shape }] of Object.entries(expected)) {
      expect(actual[name]?.shape).toEqual([...shape]);
      const scale = Math.max(...[...data].map((value) => Math.abs(Number(value))));
      for (const [i, value] of [...data].entries())
        expect(Math.abs(Number(actual[name]?.data[i]) - Number(value))).toBeLessThan(2e-5 * scale);
    }
  });
});
