import { describe, expect, it } from "vitest";
import { openControlNet } from "../checkpoint/opened-network.ts";
import { referencePath } from "../testing/reference.ts";
import { ControlNetwork, type RowControl } from "./control-network.ts";
import type { Row } from "./row.ts";

const DEPTH = referencePath("checkpoints/tiny-xl-controlnet-depth");
const SIZE = { height: 2, width: 3 };

describe.skipIf(DEPTH === undefined)("a ControlNet", () => {
  const open = async (): Promise<ControlNetwork> => {
    const { config, weights } = await openControlNet(DEPTH ?? "");
    return new ControlNetwork("depth", config, weights);
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

  it("gives conditions that stay the same as an array that stays the same", async () => {
    const network = await open();
    const [one, two] = [picture(1), picture(2)];
    const first = inputs(network, one, two).condition;
    expect(first).toMatchObject({ shape: [2, 3, 16, 24], lasting: true, data: Float32Array.of(...one, ...two) });
    expect(inputs(network, one, two).condition?.data).toBe(first?.data);
    for (const others of [[one], [one, one], [two, one], [one, picture(2)]])
      expect(inputs(network, ...others).condition?.data).not.toBe(first?.data);
  });

  it("sees the latents alone of an inpainting network's sample", async () => {
    expect(inputs(await open(), picture(1)).sample?.shape).toEqual([1, 4, 2, 3]);
  });

  it("weakens outer residuals in guess mode, from a tenth on", async () => {
    const network = await open();
    const control: RowControl = { network, condition: picture(1), scale: 2 };
    expect(new Set(network.factors(control))).toEqual(new Set([2]));
    const guessed = network.factors({ ...control, guess: true });
    expect([guessed[0], guessed.at(-1)]).toEqual([0.2, 2]);
    for (const [i, factor] of guessed.entries()) if (i > 0) expect(factor).toBeGreaterThan(guessed[i - 1] ?? 0);
  });
});
