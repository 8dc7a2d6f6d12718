import { describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.ts";
import { onnxBackend } from "../backends/onnx/onnx-backend.ts";
import { openControlNet } from "../checkpoint/opened-network.ts";
import { referencePath } from "../testing/reference.ts";
import { ControlNetwork, type RowControl } from "./control-network.ts";
import { NetworkCache } from "./network-cache.ts";
import type { Row } from "./row.ts";

const DEPTH = referencePath("checkpoints/tiny-xl-controlnet-depth");
const SIZE = { height: 2, width: 3 };

describe.skipIf(DEPTH === undefined)("a ControlNet", () => {
  const backend = onnxBackend({ threads: 1 });
  /** Names of the networks that ran. */
  const seen: string[] = [];
  const counted: Backend = {
    ...backend,
    compile: async (graph) => {
      const network = await backend.compile(graph);
      const run: typeof network.run = (inputs) => {
        seen.push(graph.name);
        return network.run(inputs);
      };
      return { inputs: network.inputs, weightBytes: network.weightBytes, run, dispose: () => network.dispose() };
    },
  };
  const open = async (): Promise<ControlNetwork> => {
    const { config, weights } = await openControlNet(DEPTH ?? "");
    return new ControlNetwork("depth", config, weights, new NetworkCache(counted));
  };
  const row: Row = {
    sample: new Float32Array(9 * 6),
    timestep: 1,
    conditioning: { text: new Float32Array(0), addition: undefined },
    adapters: [],
    controls: [],
  };
  const inputs = (network: ControlNetwork, ...conditions: readonly Float32Array[]) =>
    network.inputs(
      conditions.map((condition) => ({ row, control: { network, condition, scale: 1 } })),
      SIZE,
    );
  const picture = (value: number): Float32Array => new Float32Array(3 * 64 * 6).fill(value);

  it("computes the hint of a picture once, and gives a batch that stays the same as an array that stays the same", async () => {
    const network = await open();
    const [one, two] = [picture(0.1), picture(0.9)];
    const { hint } = await inputs(network, one, two);
    const channels = network.config.blockOutChannels[0] ?? 0;
    expect(hint).toMatchObject({ shape: [2, channels, 2, 3], lasting: true });
    expect(hint?.data.slice(0, channels * 6)).not.toEqual(hint?.data.slice(channels * 6));
    expect((await inputs(network, one, two)).hint?.data).toBe(hint?.data);
    expect(seen).toEqual(["ControlNet hint", "ControlNet hint"]);
    for (const others of [[one], [one, one], [two, one]])
      expect((await inputs(network, ...others)).hint?.data).not.toBe(hint?.data);
    expect(seen).toHaveLength(2);
    expect((await inputs(network, one, picture(0.9))).hint?.data).toEqual(hint?.data);
    expect(seen).toHaveLength(3);
  });

  it("sees the latents alone of an inpainting network's sample", async () => {
    expect((await inputs(await open(), picture(1))).sample?.shape).toEqual([1, 4, 2, 3]);
  });

  it("weakens outer residuals in guess mode, from a tenth on", async () => {
    const network = await open();
    const control: RowControl = { network, condition: picture(1), scale: 2 };
    expect(new Set(network.factors(control))).toEqual(new Set([2]));
    const guessed = network.factors({ ...control, falloff: "guess" });
    expect([guessed[0], guessed.at(-1)]).toEqual([0.2, 2]);
    for (const [i, factor] of guessed.entries()) if (i > 0) expect(factor).toBeGreaterThan(guessed[i - 1] ?? 0);
  });

  // The numbers are those of the ControlNet extension of AUTOMATIC1111 with a weight of 2.
  it("weakens outer residuals softly in the other control modes", async () => {
    const network = await open();
    const soft = network.factors({ network, condition: picture(1), scale: 2, falloff: "soft" });
    const expected = [0.198828, 0.241004, 0.292126, 0.354092, 0.429202, 0.520245, 0.6306, 0.764363, 0.926501, 1.123031];
    expect(soft).toHaveLength(expected.length);
    for (const [i, factor] of soft.entries()) expect(factor).toBeCloseTo(expected[i] ?? Number.NaN, 5);
  });
});
