import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Value } from "../../graph/graph.ts";
import { floatTensor, type Tensor } from "../../graph/tensor.ts";
import type { Backend } from "../backend.ts";
import { onnxBackend } from "../onnx/onnx-backend.ts";
import { findOpenVino } from "./find-openvino.ts";
import { installOpenVino } from "./install-openvino.ts";
import { openVinoBackend } from "./openvino-backend.ts";

const libraries = findOpenVino();
if (libraries === undefined) console.error("OpenVINO is not installed (kiln accel install): its tests are skipped.");

/** Numbers that look random and are the same at every run. */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233) * 1.5);
}

/** Runs one small graph on a backend. */
async function run(
  backend: Backend,
  build: (graph: GraphBuilder) => Value,
  inputs: Record<string, Tensor>,
): Promise<Tensor & { data: Float32Array }> {
  const graph = new GraphBuilder("test");
  graph.output("y", build(graph));
  const compiled = await backend.compile(graph.build());
  const { y } = await compiled.run(inputs);
  await compiled.dispose();
  if (!y) throw new Error("no output");
  return y;
}

/** One graph for each op of the vocabulary, with open sizes where networks have them. */
const OPS: Record<string, { build: (graph: GraphBuilder) => Value; inputs: Record<string, Tensor> }> = {
  linear: {
    build: (g) => g.linear(tokens(g), g.constant(numbers(24 * 16, 1), [24, 16]), g.constant(numbers(24, 2), [24]), 24),
    inputs: { x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]) },
  },
  "conv2d, stride and uneven padding": {
    build: (g) =>
      g.conv2d(image(g), g.constant(numbers(6 * 8 * 9, 1), [6, 8, 3, 3]), g.constant(numbers(6, 2), [6]), 6, {
        stride: 2,
        padding: [0, 0, 1, 1],
      }),
    inputs: pixels(),
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
  layerNorm: {
    build: (g) => g.layerNorm(tokens(g), g.constant(numbers(16, 1), [16]), g.constant(numbers(16, 2), [16]), 1e-5),
    inputs: { x: floatTensor(numbers(2 * 5 * 16, 3), [2, 5, 16]) },
  },
  "attention, causal": {
    build: (g) => g.attention(tokens(g), tokens(g, "k"), tokens(g, "v"), { heads: 4, causal: true }),
    inputs: Object.fromEntries(["x", "k", "v"].map((name, i) => [name, floatTensor(numbers(2 * 5 * 16, i), [2, 5, 16])])),
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

function tokens(graph: GraphBuilder, name = "x"): Value {
  return graph.input(name, "float32", ["batch", "tokens", 16]);
}

function image(graph: GraphBuilder): Value {
  return graph.input("x", "float32", ["batch", 8, "height", "width"]);
}

function pixels(): Record<string, Tensor> {
  return { x: floatTensor(numbers(2 * 8 * 7 * 6, 6), [2, 8, 7, 6]) };
}

describe.runIf(libraries !== undefined)("OpenVINO", () => {
  for (const [name, { build, inputs }] of Object.entries(OPS)) {
    it(`computes ${name} as ONNX Runtime does`, async () => {
      const expected = await run(onnxBackend(), build, inputs);
      const actual = await run(openVinoBackend({ libraries: libraries ?? "", precision: "float32" }), build, inputs);
      expect(actual.shape).toEqual([...expected.shape]);
      const scale = Math.max(...expected.data.map(Math.abs));
      for (const [i, value] of actual.data.entries())
        expect(Math.abs(value - (expected.data[i] ?? Number.NaN))).toBeLessThan(2e-5 * scale);
    });
  }
});

describe("installing OpenVINO", () => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-accel-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.runIf(process.platform === "linux" && process.arch === "x64")(
    "refuses a file that is no wheel, and leaves nothing behind",
    async () => {
      const wheel = join(folder, "openvino.whl");
      writeFileSync(wheel, "not a zip file");
      await expect(installOpenVino({ wheel, folder: join(folder, "openvino") })).rejects.toMatchObject({ code: "file_corrupt" });
      expect(readdirSync(folder)).toEqual(["openvino.whl"]);
    },
  );
});
