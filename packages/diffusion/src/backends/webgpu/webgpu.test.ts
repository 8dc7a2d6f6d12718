import { existsSync } from "node:fs";
import { InferenceSession } from "onnxruntime-node";
import { describe, expect, it, test } from "vitest";
import { reducedPrecisionJudge } from "../../conformance/reduced-precision.ts";
import { type CaseResult, type Judge, runConformance } from "../../conformance/run-conformance.ts";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph, NodeOf } from "../../graph/graph.ts";
import { floatTensor } from "../../graph/tensor.ts";
import { OP_GRAPHS, type OpGraph, runOpGraph } from "../../testing/op-graphs.ts";
import { REFERENCE_FOLDERS } from "../../testing/reference.ts";
import type { Backend, CompiledGraph } from "../backend.ts";
import { chooseBackend } from "../choose-backend.ts";
import { lowerToOnnx } from "../onnx/lower.ts";
import { onnxBackend } from "../onnx/onnx-backend.ts";
import { openOnnxGraph } from "../onnx/onnx-graph.ts";
import { AttentionKernels } from "./attention-kernels.ts";
import { findWebGpu, whyNotUnasked } from "./find-webgpu.ts";
import { webGpuBackend, webGpuSession } from "./webgpu-backend.ts";
import { webGpuDialect } from "./webgpu-dialect.ts";

/** Chromium's Vulkan in software, as Debian's and Playwright's packages name its driver file. */
const SOFTWARE_DRIVERS = ["/usr/lib/chromium/vk_swiftshader_icd.json", "/usr/lib/chromium-browser/vk_swiftshader_icd.json"];

// Vulkan's loader reads this when it is first asked. A driver that was named already stays.
const driver = SOFTWARE_DRIVERS.find((path) => existsSync(path));
if (process.env.VK_ICD_FILENAMES === undefined && driver !== undefined) process.env.VK_ICD_FILENAMES = driver;

const { usable, adapter, why } = findWebGpu();
if (!usable) console.error(`${why}: WebGPU's tests are skipped.`);

/** Compiling a kernel in software takes a second, and networks have some dozens. */
const PATIENCE = 600_000;

/** A network of each kind, as its reference case runs it. */
const CASES = [
  { kind: "text_encoder", name: "tiny-xl-00" },
  { kind: "unet", name: "tiny-xl-01" },
  { kind: "controlnet", name: "tiny-xl-00" },
  { kind: "vae", name: "tiny-sd15-00" },
  { kind: "vae_tiny", name: "tiny-taesd" },
];

/** What the cases above compile. */
const NETWORKS = ["ControlNet", "UNet", "VAE decoder", "VAE encoder", "text encoder", "tiny VAE decoder", "tiny VAE encoder"];

async function runCase(wanted: { kind: string; name: string }, backend: Backend, judge?: Judge): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  const folder = REFERENCE_FOLDERS.at(-1) ?? "";
  for await (const result of runConformance({ ...wanted, folder, openBackend: () => backend, ...(judge ? { judge } : {}) }))
    results.push(result);
  return results;
}

/** A backend that remembers what it was given to compile. */
function remembering(real: Backend, graphs: Graph[]): Backend {
  return {
    ...real,
    compile: (graph) => {
      graphs.push(graph);
      return real.compile(graph);
    },
  };
}

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

  for (const wanted of CASES) {
    it(`runs ${wanted.kind}/${wanted.name} to the reference's own tolerance`, { timeout: PATIENCE }, async () => {
      expect(await runCase(wanted, backend)).toMatchObject([{ ...wanted, outcome: "passed" }]);
    });
  }

  it("leaves nothing of these networks to the CPU", { timeout: PATIENCE }, async () => {
    const graphs: Graph[] = [];
    for (const wanted of CASES) await runCase(wanted, remembering(onnxBackend(), graphs));
    expect([...new Set(graphs.map(({ name }) => name))].sort()).toEqual(NETWORKS);
    for (const graph of graphs) await createWithoutCpu(graph);
  });

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

  it.runIf(adapter?.name.startsWith("SwiftShader"))("says that an adapter has no float16", { timeout: PATIENCE }, async () => {
    const { layerNorm } = OP_GRAPHS;
    if (!layerNorm) throw new Error("there is no layerNorm");
    const half = webGpuBackend({ precision: "float16" });
    await expect(runOpGraph(half, layerNorm)).rejects.toMatchObject({ code: "backend_unavailable", subject: "precision" });
  });

  it("is taken by name, with the adapter's", () => {
    const { backend: chosen, why: reason } = chooseBackend({ device: "webgpu" });
    expect(chosen).toMatchObject({ precision: "float32", device: "webgpu" });
    expect(chosen.name).toContain(adapter?.name ?? "WebGPU");
    expect(reason).toContain(why);
    expect(() => chooseBackend({ device: "webgpu", precision: "bfloat16" })).toThrow("float32 or float16");
  });

  it.runIf(adapter?.kind === "software")("is not taken by itself where it is software", () => {
    expect(chooseBackend({ device: "auto" }).backend.device).not.toBe("webgpu");
  });
});

test("a card is taken without being asked for where SDXL fits on it, and no program is", () => {
  const card = { name: "a card", kind: "discrete", largestRange: 2 ** 31, memory: 24 * 2 ** 30 } as const;
  expect(whyNotUnasked(card)).toBeUndefined();
  expect(whyNotUnasked({ ...card, memory: 8 * 2 ** 30 })).toContain("--precision float16");
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
    it.each(["float32", "float16"] as const)(`means the same as the CPU's: ${name}, in %s`, async (element) => {
      const expected = await runOpGraph(onnxBackend(), graph);
      const actual = await runOpGraph(onCpu(element), graph);
      expect(actual.shape).toEqual([...expected.shape]);
      const scale = Math.max(...expected.data.map(Math.abs));
      const tolerance = { float32: 2e-6, float16: 4e-3 }[element] * scale;
      for (const [i, value] of actual.data.entries())
        expect(Math.abs(value - (expected.data[i] ?? Number.NaN))).toBeLessThan(tolerance);
    });
  }
});

describe("whole networks lowered for WebGPU in float16, on the CPU's kernels", () => {
  for (const wanted of CASES.filter(({ kind }) => kind !== "vae_tiny")) {
    it(`stay as near to ${wanted.kind}/${wanted.name} as torch does in float16`, { timeout: PATIENCE }, async () => {
      const results = await runCase(wanted, onCpu("float16"), reducedPrecisionJudge("float16"));
      expect(results).toMatchObject([{ ...wanted, outcome: "passed" }]);
      expect(results[0]?.groups.map(({ difference }) => difference > 1e-5)).toEqual([true]);
    });
  }
});

/** The graphs that WebGPU would get, with attention as products, on the CPU's kernels. */
function onCpu(element: "float32" | "float16"): Backend {
  const dialect = webGpuDialect(element, () => "products");
  return {
    ...onnxBackend(),
    compile: (graph) =>
      openOnnxGraph(graph, lowerToOnnx(graph, "resident", dialect), {
        session: { ...webGpuSession(), executionProviders: ["cpu"] },
        indices: dialect.indices,
      }),
  };
}

/**
 * Creates a session that may not use the CPU, for one size. Where sizes are open there is one thing more, behind each GroupNorm: the four
 * numbers of a shape are put into another order.
 * @throws Error that says that nodes are left for the CPU
 */
async function createWithoutCpu(graph: Graph): Promise<void> {
  const fixed = (size: number | string): number => (typeof size === "number" ? size : (SIZES[size] ?? 1));
  const inputs = graph.inputs.map((input) => ({ ...input, shape: input.shape.map(fixed) }));
  const { model } = lowerToOnnx(
    { ...graph, inputs },
    "resident",
    webGpuDialect("float32", () => "products"),
  );
  const session = await InferenceSession.create(model, {
    ...webGpuSession(),
    extra: { session: { model_external_initializers_file_folder_path: "/", disable_cpu_ep_fallback: "1" } },
  });
  await session.release();
}

/** Of the networks' open sizes; those of residuals are one, as where there is no ControlNet. */
const SIZES: Readonly<Record<string, number>> = { batch: 2, tokens: 77, height: 16, width: 16 };
