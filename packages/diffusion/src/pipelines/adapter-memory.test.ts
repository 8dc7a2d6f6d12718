import { describe, expect, it } from "vitest";
import { fitAdapter, openAdapter } from "../adapters/adapter.ts";
import { openCheckpoint } from "../checkpoint/checkpoint.ts";
import { referencePath } from "../testing/reference.ts";
import { checkAdapterFits } from "./adapter-memory.ts";

const GIB = 2 ** 30;

it("refuses what does not fit, with the numbers, and never what is small", () => {
  const lokr = { path: "/models/whole-lokr.safetensors", memoryBytes: 10 * GIB };
  expect(() => checkAdapterFits(lokr, 16 * GIB)).toThrow(
    expect.objectContaining({ code: "out_of_memory", message: expect.stringMatching(/^whole-lokr.*10\.0 GiB.*6\.4 GiB/) }),
  );
  expect(() => checkAdapterFits(lokr, 32 * GIB)).not.toThrow();
  expect(() => checkAdapterFits({ path: "a", memoryBytes: 2 ** 20 }, 1)).not.toThrow();
});

const model = referencePath("checkpoints/tiny-xl");
describe.skipIf(model === undefined).each(["kohya", "kohya-conv", "peft", "loha", "lokr"])("%s", (name) => {
  const file = referencePath(`checkpoints/loras/${name}.safetensors`);
  it.skipIf(file === undefined)("takes what was said beforehand, or less", async () => {
    const { weights } = await openCheckpoint(model ?? "");
    const adapter = fitAdapter(await openAdapter(file ?? ""), weights);
    let taken = 0;
    for (const layer of adapter.layers.values()) {
      const { rank, up, down } = await layer.factors();
      expect(rank).toBe(layer.rank);
      taken += up.byteLength + down.byteLength;
    }
    expect(taken).toBe(adapter.memoryBytes);
  });
});
