import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inferControlNetConfig, inferUNetConfig } from "../../checkpoint/infer-configs.ts";
import { isJsonObject } from "../../checkpoint/json.ts";
import { publishedVae } from "../../checkpoint/published-vae.ts";
import type { TensorView, Weights } from "../../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph } from "../../graph/graph.ts";
import { joinGraphs } from "../../graph/join-graphs.ts";
import { controlNet } from "../../models/controlnet.ts";
import { Scope } from "../../models/scope.ts";
import { unet } from "../../models/unet.ts";
import { vaeDecoder, vaeEncoder } from "../../models/vae.ts";
import { referencePath } from "../../testing/reference.ts";
import { ModelWriter } from "../onnx/model-proto.ts";
import { bundledOnnxRuntime } from "../onnxruntime-c/find-bundled.ts";
import { OnnxRuntime } from "../onnxruntime-c/onnx-runtime.ts";
import { cudaOps } from "./cuda-ops.ts";
import type { KernelOps, KernelOpsMaker } from "./kernel-ops.ts";
import { lowerWithSizes } from "./lower.ts";

/**
 * The GPU's own ops have no kernels here. But the library knows their schemas, infers every type and shape of a model before it
 * looks for kernels, and names the first op that it finds none for: so a model that stops there is well formed.
 */

const library = bundledOnnxRuntime();

/** How often each fused op is written. */
function counting(maker: KernelOpsMaker): { maker: KernelOpsMaker; counts: Record<string, number> } {
  const counts: Record<string, number> = {};
  const counted: KernelOpsMaker = (writer, type) => {
    const ops = maker(writer, type);
    const once = (name: keyof KernelOps): void => {
      counts[name] = (counts[name] ?? 0) + 1;
    };
    return {
      ...ops,
      convolution: (...given) => {
        once("convolution");
        return ops.convolution(...given);
      },
      groupNorm: (...given) => {
        once("groupNorm");
        return ops.groupNorm(...given);
      },
      skipGroupNorm: (...given) => {
        once("skipGroupNorm");
        return ops.skipGroupNorm(...given);
      },
      biasSplitGelu: (...given) => {
        once("biasSplitGelu");
        return ops.biasSplitGelu(...given);
      },
      biasAdd: (...given) => {
        once("biasAdd");
        return ops.biasAdd(...given);
      },
    };
  };
  return { maker: counted, counts };
}

const MANIFEST = referencePath("manifests/sdxl-base.folder.json");
const CONTROL_MANIFEST = referencePath("manifests/sdxl-controlnet.folder.json");

/** The tensors of one network of SDXL's, of the right names and shapes and with nothing behind them. */
function manifest(file: string, path = MANIFEST): Weights {
  const all: unknown = JSON.parse(readFileSync(path ?? "", "utf8"));
  const shapes = isJsonObject(all) ? all[file] : undefined;
  return new Map(
    Object.entries(isJsonObject(shapes) ? shapes : {}).map(([name, shape]): [string, TensorView] => {
      const sizes = Array.isArray(shape) ? shape.map(Number) : [];
      const byteLength = 2 * sizes.reduce((product, size) => product * size, 1);
      return [name, { source: "/nowhere", offset: 0, byteLength, type: "float16", shape: sizes }];
    }),
  );
}

/** The sizes of every input for so many rows of a picture of this size. */
function sizesFor(graph: Graph, rows: number, side: number): Map<string, readonly number[]> {
  const named: Record<string, number> = { batch: rows, height: side / 8, width: side / 8, tokens: 77 };
  return new Map(
    graph.inputs.map(({ name, shape }) => [name, shape.map((size) => (typeof size === "number" ? size : (named[size] ?? 1)))]),
  );
}

function sdxlUNet(): Graph {
  const weights = manifest("unet/diffusion_pytorch_model");
  const graph = new GraphBuilder("UNet");
  const scope = Scope.root("UNet", graph, weights);
  unet(scope, inferUNetConfig(weights, "manifest").config);
  scope.finish();
  return graph.build();
}

function sdxlControlNet(): Graph {
  const weights = manifest("diffusion_pytorch_model", CONTROL_MANIFEST);
  const graph = new GraphBuilder("ControlNet");
  const scope = Scope.root("ControlNet", graph, weights);
  controlNet(scope, inferControlNetConfig(weights, "manifest").config);
  scope.finish();
  return graph.build();
}

function sdxlVae(part: typeof vaeDecoder): Graph {
  const graph = new GraphBuilder("VAE", { needsFloat32Range: true });
  const scope = Scope.root("VAE", graph, manifest("vae/diffusion_pytorch_model"));
  part(scope, publishedVae("sdxl"));
  scope.finish();
  return graph.build();
}

const FUSED = /^(NhwcConv|GroupNorm|SkipGroupNorm|BiasSplitGelu|BiasAdd)$/;

describe.runIf(library !== undefined)("the GPU's own ops", () => {
  let runtime: OnnxRuntime | undefined;
  beforeAll(() => {
    runtime = new OnnxRuntime(library ?? "");
  });
  afterAll(async () => {
    await runtime?.dispose();
    expect(runtime?.library.alive).toEqual(new Map());
  });

  /** The op that the library finds no kernel for. */
  async function stopsAt(model: Uint8Array): Promise<string | undefined> {
    const refusal: unknown = await runtime?.createSession(model, {}).then(
      (session) => session.release(),
      (error: unknown) => error,
    );
    const { code, subject } =
      refusal instanceof Error && "code" in refusal && "subject" in refusal ? refusal : { code: "", subject: "" };
    if (code !== "backend_failed" || subject === undefined) throw refusal;
    return String(subject);
  }

  const OPS: Record<
    string,
    (ops: KernelOps, weights: Record<"x" | "tokens" | "row" | "wide" | "kernel" | "float", string>) => string
  > = {
    NhwcConv: (ops, { x, kernel, row }) => ops.convolution(x, kernel, row, { kernel: [3, 3], stride: 1, padding: [1, 1] }),
    GroupNorm: (ops, { x, float }) => ops.groupNorm(x, float, float, [2, 8, 8, 64], { groups: 32, epsilon: 1e-5, silu: true }),
    SkipGroupNorm: (ops, { x, float, row }) =>
      ops.skipGroupNorm(
        { x, gamma: float, beta: float, skip: x, bias: row },
        [2, 8, 8, 64],
        { groups: 32, epsilon: 1e-5, silu: true },
        true,
      ).sum,
    BiasSplitGelu: (ops, { tokens, wide }) => ops.biasSplitGelu(tokens, wide),
    BiasAdd: (ops, { tokens, wide }) => ops.biasAdd(tokens, wide, tokens),
  };

  for (const type of ["float16", "float32"] as const) {
    it.each(Object.entries(OPS))(`%s is well formed in ${type}`, async (name, write) => {
      const writer = new ModelWriter(name);
      writer.input("x", type, [2, 8, 8, 64]);
      writer.input("tokens", type, [2, 64, 2560]);
      const weights = {
        x: "x",
        tokens: "tokens",
        row: writer.given(type, [64]),
        wide: writer.given(type, [2560]),
        kernel: writer.given(type, [64, 3, 3, 64]),
        float: writer.given("float32", [64]),
      };
      writer.rename(write(cudaOps(writer, type), weights), "y");
      writer.output("y", type);
      expect(await stopsAt(writer.finish())).toBe(name);
    });
  }

  describe.skipIf(MANIFEST === undefined)("in SDXL at full size (needs the reference manifests)", () => {
    it("carry the UNet in float16, with every feed-forward layer and every norm behind a sum fused", async () => {
      const graph = sdxlUNet();
      const { maker, counts } = counting(cudaOps);
      const sizes = sizesFor(graph, 2, 1024);
      const absent = new Set(graph.inputs.map(({ name }) => name).filter((name) => name.startsWith("residual.")));
      const { model, weights, inputs, outputs } = lowerWithSizes(graph, { sizes, absent, type: "float16", ops: maker });
      expect(await stopsAt(model)).toMatch(FUSED);
      // 70 transformer blocks, and 17 ResNets of two convolutions beside six more. Of 46 norms of images, 17 stand behind an
      // embedding and 17 behind a residual; three follow a convolution and nine a concatenation, which have nothing to add.
      expect(counts).toEqual({ convolution: 40, groupNorm: 12, skipGroupNorm: 34, biasSplitGelu: 70, biasAdd: 22 });
      expect(inputs.map(({ name }) => name)).toEqual(["sample", "timestep_embedding", "addition", "text"]);
      expect(outputs).toEqual([{ name: "prediction", type: "float32", shape: [2, 4, 128, 128] }]);
      const bytes = [...weights.values()].reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
      expect(bytes).toBe(2_567_463_684);
    });

    it.skipIf(CONTROL_MANIFEST === undefined)(
      "carry the UNet joined with a ControlNet, with all that is fused in each of them alone",
      async () => {
        const [base, control] = [sdxlUNet(), sdxlControlNet()];
        const counted = (graph: Graph) => {
          const { maker, counts } = counting(cudaOps);
          const absent = new Set(graph.inputs.map(({ name }) => name).filter((name) => name.startsWith("residual.")));
          return {
            counts,
            ...lowerWithSizes(graph, { sizes: sizesFor(graph, 2, 1024), absent, type: "float16", ops: maker }),
          };
        };
        const [one, other] = [counted(base), counted(control)];
        const joined = counted(joinGraphs(base, [{ graph: control, prefix: "control." }]));
        expect(await stopsAt(joined.model)).toMatch(FUSED);
        const sums = Object.entries(one.counts).map(([name, count]) => [name, count + (other.counts[name] ?? 0)]);
        expect(joined.counts).toEqual(Object.fromEntries(sums));
        expect(joined.weights.size).toBe(one.weights.size + other.weights.size);
        expect(joined.outputs).toEqual(one.outputs);
      },
    );

    it("carry the VAE in float32, both ways", async () => {
      for (const part of [vaeDecoder, vaeEncoder]) {
        const graph = sdxlVae(part);
        const lowered = lowerWithSizes(graph, {
          sizes: sizesFor(graph, 1, 1024),
          absent: new Set(),
          type: "float32",
          ops: cudaOps,
        });
        expect(await stopsAt(lowered.model)).toMatch(FUSED);
      }
    });
  });
});
