import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.ts";
import { onnxBackend } from "../backends/onnx/onnx-backend.ts";
import { openControlNet } from "../checkpoint/opened-network.ts";
import { DiffusionModel } from "../pipelines/diffusion-model.ts";
import { referencePath } from "../testing/reference.ts";
import { ControlNetwork, type Falloff, type RowControl } from "./control-network.ts";
import { NetworkCache } from "./network-cache.ts";
import type { Row } from "./row.ts";

const CHECKPOINT = referencePath("checkpoints/tiny-xl");
const DEPTH = referencePath("checkpoints/tiny-xl-controlnet-depth");
const SIZE = { height: 8, width: 6 };
/** A hundredth of what the reference cases allow: both ways compute the same, and round at other places. */
const ROUNDING = 5e-6;

function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233));
}

describe.skipIf(!(CHECKPOINT && DEPTH))("a UNet joined with its ControlNets", () => {
  let apart: DiffusionModel;
  let joined: DiffusionModel;
  /** Rows of each call of a joined network. */
  const calls: number[] = [];
  let depth: ControlNetwork;
  let other: ControlNetwork;

  beforeAll(async () => {
    const backend = onnxBackend({ threads: 2 });
    apart = await DiffusionModel.load(CHECKPOINT ?? "", { backend });
    joined = await DiffusionModel.load(CHECKPOINT ?? "", {
      backend: { ...counted(backend), sharesWeights: true, paddedRows: evenly },
    });
    const { config, weights } = await openControlNet(DEPTH ?? "");
    const cache = new NetworkCache(backend);
    depth = new ControlNetwork("depth", config, weights, cache);
    other = new ControlNetwork("a second one", config, weights, cache);
  });
  afterAll(async () => {
    await apart.dispose();
    await joined.dispose();
  });

  function counted(backend: Backend): Backend {
    return {
      ...backend,
      compile: async (graph) => {
        const network = await backend.compile(graph);
        const run: typeof network.run = (inputs) => {
          calls.push(inputs.sample?.shape[0] ?? 0);
          return network.run(inputs);
        };
        return { inputs: network.inputs, weightBytes: network.weightBytes, run, dispose: () => network.dispose() };
      },
    };
  }

  const row = (seed: number, controls: readonly RowControl[] = []): Row => ({
    sample: numbers(4 * SIZE.height * SIZE.width, seed),
    timestep: 100 + seed,
    conditioning: {
      text: numbers(77 * apart.checkpoint.configs.unet.crossAttentionDim, seed + 1),
      addition: numbers(apart.checkpoint.configs.unet.projectionClassEmbeddingsInputDim ?? 0, seed + 2),
    },
    adapters: [],
    controls,
  });
  const control = (network: ControlNetwork, seed: number, scale = 1, falloff?: Falloff): RowControl => ({
    network,
    condition: numbers(3 * 64 * SIZE.height * SIZE.width, seed).map(Math.abs),
    scale,
    falloff,
  });
  const mixed = (): Row[] => [
    row(1),
    row(2, [control(depth, 10, 0.7)]),
    row(3, [control(other, 11, 0.5), control(depth, 12, -1.2)]),
    row(4, [control(depth, 13, 1.5, "guess")]),
    row(5),
    row(6, [control(depth, 14), control(other, 15, 2)]),
    row(7, [control(depth, 16, 0.4), control(depth, 17, 0.9)]),
  ];

  it("predicts what they predict apart, for rows with all kinds of controls", async () => {
    const rows = mixed();
    const [one, two] = [
      await apart.predictor.predict(rows, SIZE, undefined),
      await joined.predictor.predict(rows, SIZE, undefined),
    ];
    for (const [i, prediction] of one.entries()) {
      const difference = prediction.map((value, at) => Math.abs(value - (two[i]?.[at] ?? Number.NaN)));
      expect(Math.max(...difference), `row ${i}`).toBeLessThan(ROUNDING);
    }
    const plain = await apart.predictor.predict(
      rows.map((each) => ({ ...each, controls: [] })),
      SIZE,
      undefined,
    );
    for (const i of [1, 2, 3, 5, 6]) expect(plain[i]).not.toEqual(one[i]);
  });

  it("calls one network for each set of ControlNets, with rows added up to the backend's numbers", async () => {
    calls.length = 0;
    await joined.predictor.predict(mixed(), SIZE, undefined);
    // None; depth; depth and the other, in whatever order; depth twice.
    expect(calls).toEqual([2, 2, 2, 2]);
    calls.length = 0;
    expect(await joined.predictor.predict([row(1), row(2), row(3)], SIZE, undefined)).toHaveLength(3);
    expect(calls).toEqual([4]);
  });

  it("gives rows without controls the bits that they have without such neighbours", async () => {
    const alone = await joined.predictor.predict([row(1), row(5)], SIZE, undefined);
    const among = await joined.predictor.predict(mixed(), SIZE, undefined);
    expect([among[0], among[4]]).toEqual(alone);
  });
});

function evenly(rows: number): number {
  return 2 * Math.ceil(rows / 2);
}
