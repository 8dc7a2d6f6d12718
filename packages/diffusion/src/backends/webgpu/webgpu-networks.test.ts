import { InferenceSession } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { reducedPrecisionJudge } from "../../conformance/reduced-precision.ts";
import { type CaseResult, type Judge, runConformance } from "../../conformance/run-conformance.ts";
import type { Graph } from "../../graph/graph.ts";
import { REFERENCE_FOLDERS } from "../../testing/reference.ts";
import { takeSoftwareDriver } from "../../testing/software-vulkan.ts";
import type { Backend } from "../backend.ts";
import { lowerToOnnx } from "../onnx/lower.ts";
import { onnxBackend } from "../onnx/onnx-backend.ts";
import { findWebGpu } from "./find-webgpu.ts";
import { webGpuBackend, webGpuSession } from "./webgpu-backend.ts";
import { webGpuDialect } from "./webgpu-dialect.ts";

takeSoftwareDriver();
const { usable, adapter, why } = findWebGpu();
if (!usable) console.error(`${why}: WebGPU's networks are not tested.`);

/** Compiling a kernel in software takes up to a second, and networks have some dozens. */
const PATIENCE = 600_000;

const TEXT_ENCODER = { kind: "text_encoder", name: "tiny-xl-00" };
/** What a UNet answers with a ControlNet's residuals: both networks in one case, whose kernels are compiled once. */
const CONTROLNET = { kind: "controlnet", name: "tiny-xl-00" };
const VAE = { kind: "vae", name: "tiny-sd15-00" };
const TINY_VAE = { kind: "vae_tiny", name: "tiny-taesd" };

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

describe.runIf(usable)("a network of each kind on WebGPU", () => {
  const backend = webGpuBackend();

  // TAESD is convolutions and ReLU, as ControlNet's hint is and one op's test: two dozen kernels less to compile.
  for (const wanted of [TEXT_ENCODER, CONTROLNET, VAE]) {
    it(`runs ${wanted.kind}/${wanted.name} to the reference's own tolerance`, { timeout: PATIENCE }, async () => {
      expect(await runCase(wanted, backend)).toMatchObject([{ ...wanted, outcome: "passed" }]);
    });
  }

  it("leaves nothing of them to the CPU", { timeout: PATIENCE }, async () => {
    const graphs: Graph[] = [];
    for (const wanted of [TEXT_ENCODER, CONTROLNET, VAE, TINY_VAE]) await runCase(wanted, remembering(onnxBackend(), graphs));
    const byName = new Map(graphs.map((graph) => [graph.name, graph]));
    expect([...byName.keys()]).toEqual(expect.arrayContaining(["ControlNet", "UNet", "VAE decoder", "text encoder"]));
    for (const graph of byName.values()) await createWithoutCpu(graph);
  });

  it("holds weights in float16 where the adapter has it, and computes in float32", { timeout: PATIENCE }, async () => {
    const results = await runCase(TEXT_ENCODER, webGpuBackend({ precision: "float16" }), reducedPrecisionJudge("float16"));
    if (adapter?.name.startsWith("SwiftShader")) {
      expect(results).toMatchObject([{ outcome: "failed", reasons: [expect.stringContaining("no float16: ask for float32")] }]);
      return;
    }
    expect(results).toMatchObject([{ outcome: "passed" }]);
    for (const { difference } of results[0]?.groups ?? []) expect(difference).toBeLessThan(1e-5);
  });
});

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
    webGpuDialect(() => "products"),
  );
  const session = await InferenceSession.create(model, {
    ...webGpuSession(),
    extra: { session: { model_external_initializers_file_folder_path: "/", disable_cpu_ep_fallback: "1" } },
  });
  await session.release();
}

/** Of the networks' open sizes; those of residuals are one, as where there is no ControlNet. */
const SIZES: Readonly<Record<string, number>> = { batch: 2, tokens: 77, height: 16, width: 16 };
