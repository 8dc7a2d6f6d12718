import { describe, expect, it, test } from "vitest";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph, NodeOf } from "../../graph/graph.ts";
import { floatTensor } from "../../graph/tensor.ts";
import { OP_GRAPHS, type OpGraph, runOpGraph } from "../../testing/op-graphs.ts";
import { takeSoftwareDriver } from "../../testing/software-vulkan.ts";
import type { Backend, CompiledGraph } from "../backend.ts";
import { chooseBackend } from "../choose-backend.ts";
import { lowerToOnnx } from "../onnx/lower.ts";
import { onnxBackend } from "../onnx/onnx-backend.ts";
import { openOnnxGraph } from "../onnx/onnx-graph.ts";
import { AttentionKernels } from "./attention-kernels.ts";
import { findWebGpu, whyNotUnasked } from "./find-webgpu.ts";
import { webGpuBackend, webGpuSession } from "./webgpu-backend.ts";
import { webGpuDialect } from "./webgpu-dialect.ts";

takeSoftwareDriver();
const { usable, adapter, why } = findWebGpu();
if (!usable) console.error(`${why}: WebGPU's tests are skipped.`);

/** Compiling a kernel in software takes up to a second, and an attention is tried before it is used. */
const PATIENCE = 120_000;

describe.runIf(usable)("WebGPU", () => {
  const backend = webGpuBackend();

  for (const [name, graph] of Object.entries(OP_GRAPHS)) {
    it(`computes ${name} as the CPU does`, { timeout: PATIENCE }, async () => {
      const expected = await runOpGraph(onnxBackend(), graph);
      const actual = await runOpGraph(backend, graph);
      expect(actual.shape).toEqual([...expected.shape]);
      const scale = Math.max(...expected.data.map(Math.abs));
      for (const [i, value] of actual.data.entries())
        expect(Math.abs(value - (expected.data[i] ?? Number.NaN))).toBeLessThan(2e-5 * scale);
    });
  }

  it("says that a tensor is too large for the adapter, and goes on with smaller ones", { timeout: PATIENCE }, async () => {
    // Two lines that make an area of 2^31 numbers, 8 GiB: more than software has, and than a buffer may have elsewhere.
    const side = 2 ** 14;
    const area = (length: number): OpGraph => ({
      build: (graph) =>
        graph.add(
          graph.input("x", "float32", ["batch", 8, "height", 1]),
          graph.input("line", "float32", ["batch", 8, 1, "width"]),
        ),
      inputs: {
        x: floatTensor(new Float32Array(8 * length).fill(1), [1, 8, length, 1]),
        line: floatTensor(new Float32Array(8 * length).fill(2), [1, 8, 1, length]),
      },
    });
    await expect(runOpGraph(backend, area(side))).rejects.toMatchObject({ code: "out_of_memory" });
    expect((await runOpGraph(backend, area(2))).data).toEqual(new Float32Array(32).fill(3));
  });

  it("is taken by name, with the adapter's", () => {
    const { backend: chosen, why: reason } = chooseBackend({ device: "webgpu" });
    expect(chosen).toMatchObject({ precision: "float32", device: "webgpu" });
    expect(chosen.name).toContain(adapter?.name ?? "WebGPU");
    expect(chosen.card?.name).toBe(adapter?.name);
    expect(reason).toContain(why);
    expect(() => chooseBackend({ device: "webgpu", precision: "bfloat16" })).toThrow("float32 or float16");
  });

  it.runIf(adapter?.kind === "software")("is not taken by itself where it is software", () => {
    expect(chooseBackend({ device: "auto" }).backend.device).not.toBe("webgpu");
  });
});

test("a card is taken without being asked for where SDXL fits on it, and no program is", () => {
  const card = { name: "a card", kind: "discrete", largestRange: 2 ** 31, memory: 24 * 2 ** 30, indexesArrays: true } as const;
  expect(whyNotUnasked(card)).toBeUndefined();
  expect(whyNotUnasked({ ...card, memory: 8 * 2 ** 30 })).toContain("too little for SDXL");
  expect(whyNotUnasked({ ...card, kind: "software" })).toContain("slower than ONNX Runtime on the CPU");
});

describe("the trial of an attention kernel", () => {
  const graph = (): Graph => {
    const builder = new GraphBuilder("attention");
    const [q, k, v] = ["q", "k", "v"].map((name) => builder.input(name, "float32", ["batch", "tokens", 16]));
    if (!q || !k || !v) throw new Error("an input is missing");
    builder.output("y", builder.attention(q, k, v, { heads: 2, causal: true }));
    return builder.build();
  };

  it("takes a kernel that computes what attention is", async () => {
    const choose = await new AttentionKernels((trial) => onnxBackend().compile(trial), 1e-4).choose(graph());
    expect(choose({ headWidth: 8, causal: true })).toBe("fused");
    expect(choose({ headWidth: 8, causal: false })).toBe("products");
  });

  it("does not take one that looks at what comes later, nor one that fails", async () => {
    const blind = (trial: Graph): Promise<CompiledGraph> =>
      onnxBackend().compile({ ...trial, nodes: trial.nodes.map((node) => (node.op === "attention" ? uncausal(node) : node)) });
    for (const compile of [blind, () => Promise.reject(new Error("no kernel"))]) {
      const choose = await new AttentionKernels(compile, 1e-4).choose(graph());
      expect(choose({ headWidth: 8, causal: true })).toBe("products");
    }
  });
});

function uncausal(node: NodeOf<"attention">): NodeOf<"attention"> {
  return { ...node, attributes: { ...node.attributes, causal: false } };
}

describe("the lowering for WebGPU", () => {
  for (const [name, graph] of Object.entries(OP_GRAPHS)) {
    it(`means the same as the CPU's: ${name}`, async () => {
      const expected = await runOpGraph(onnxBackend(), graph);
      const actual = await runOpGraph(onCpu(), graph);
      expect(actual.shape).toEqual([...expected.shape]);
      const tolerance = 2e-6 * Math.max(...expected.data.map(Math.abs));
      for (const [i, value] of actual.data.entries())
        expect(Math.abs(value - (expected.data[i] ?? Number.NaN))).toBeLessThan(tolerance);
    });
  }
});

/** The graphs that WebGPU would get, with attention as products, on the CPU's kernels. */
function onCpu(): Backend {
  const dialect = webGpuDialect(() => "products");
  return {
    ...onnxBackend(),
    compile: (graph) =>
      openOnnxGraph(graph, lowerToOnnx(graph, "resident", dialect), {
        session: { ...webGpuSession(), executionProviders: ["cpu"] },
        indices: dialect.indices,
      }),
  };
}
