import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { networkRows } from "../src/conformance/kinds/unet.ts";
import { floatTensor, rowsOf } from "../src/conformance/tensors.ts";
import type { ControlRequest, Pipeline, SlotControl } from "../src/index.ts";
import { readCase } from "../src/testing/case-file.ts";
import { referencePath } from "../src/testing/reference.ts";
import { DEPTH, difference, drawLatents, gradient, loadTinyXl, SMALL, TINY_XL, there } from "./tiny-xl.ts";

const POSE = referencePath("checkpoints/tiny-xl-controlnet-pose");
const CASE = referencePath("cases/controlnet/tiny-xl-00.safetensors");

describe.skipIf(!(TINY_XL && DEPTH))("a ControlNet's mode", () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadTinyXl();
  });
  afterAll(() => pipeline.dispose());

  // Every 128th number of diffusers' UNet, with the residuals of diffusers' ControlNet times 0.825^(12 - place).
  it.skipIf(!(POSE && CASE))(
    "weakens residuals as the extension of AUTOMATIC1111 does, for the rows that it acts on",
    async () => {
      const file = readCase(there(CASE));
      const network = await pipeline.model.controlNetwork(there(POSE));
      const conditions = rowsOf(floatTensor(file, "condition.0"));
      const soft = (i: number) => [
        { network, condition: conditions[i] ?? new Float32Array(0), scale: 1, falloff: "soft" as const },
      ];
      const rows = networkRows(file, pipeline.model);
      const predict = async (acts: (i: number) => boolean) => {
        const controlled = rows.map((row, i) => ({ ...row, controls: acts(i) ? soft(i) : [] }));
        return await pipeline.model.predictor.predict(controlled, { height: 16, width: 16 }, undefined);
      };
      const second = [-0.07459, 0.00949, -0.39937, -0.61103, -0.2003, 0.1199, 0.05225, -0.41952];
      const both = await predict(() => true);
      close(both[0], [-0.09678, 0.00824, -0.34464, 0.13741, 0.36502, 0.36259, -0.1911, 0.11716]);
      close(both[1], second);
      const positive = await predict((i) => i === 1);
      close(positive[0], [-0.19033, 0.00157, -0.30253, 0.1573, 0.36368, 0.35271, -0.11537, 0.22894]);
      close(positive[1], second);
    },
  );

  const control: ControlRequest = { model: DEPTH ?? "", image: gradient(64, 64) };

  it.each<[Partial<ControlRequest>, Pick<SlotControl, "falloff" | "positiveOnly">]>([
    [{}, { falloff: undefined, positiveOnly: false }],
    [{ mode: "balanced" }, { falloff: undefined, positiveOnly: false }],
    [{ mode: "prompt" }, { falloff: "soft", positiveOnly: false }],
    [{ mode: "control" }, { falloff: "soft", positiveOnly: true }],
    [
      { guess: true, mode: "prompt" },
      { falloff: "guess", positiveOnly: true },
    ],
  ])("of %j is what its picture is drawn with", async (change, expected) => {
    const [slot] = await pipeline.prepare({ ...SMALL, controls: [{ ...control, ...change }] });
    expect(slot?.definition.controls[0]).toMatchObject(expected);
  });

  it("makes a difference, and leaves the negative half alone where the map is more important", async () => {
    const draw = (mode: ControlRequest["mode"], guidanceScale: number) =>
      drawLatents(pipeline, { ...SMALL, guidanceScale, controls: [{ ...control, mode }] });
    const [balanced, prompt, map] = [await draw("balanced", 5), await draw("prompt", 5), await draw("control", 5)];
    for (const [one, other] of [
      [balanced, prompt],
      [prompt, map],
      [balanced, map],
    ] as const)
      expect(difference(one, other)).toBeGreaterThan(1e-3);
    expect(difference(await draw("prompt", 1), await draw("control", 1))).toBe(0);
  });
});

function close(found: Float32Array | undefined, every128th: readonly number[]): void {
  expect(found).toHaveLength(128 * every128th.length);
  for (const [i, value] of every128th.entries()) expect(Math.abs((found?.[128 * i] ?? Number.NaN) - value)).toBeLessThan(5e-4);
}
