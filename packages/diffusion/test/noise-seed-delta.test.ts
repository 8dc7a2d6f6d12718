import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRandom, type GenerateRequest, Pipeline, type Slot } from "../src/index.ts";
import { SMALL, TINY_XL, there } from "./tiny-xl.ts";

// All that is drawn after the first noise comes from another seed, as AUTOMATIC1111's eta noise seed delta has it.
describe.skipIf(!TINY_XL)("a noise seed delta", () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await Pipeline.load(there(TINY_XL));
  });
  afterAll(() => pipeline.dispose());

  const ancestral: GenerateRequest = { ...SMALL, seed: 5, scheduler: { a1111: { sampler: "Euler a" } } };

  it("changes the sampler's noise and leaves the first", async () => {
    const [plain, shifted] = [await slotOf(ancestral), await slotOf({ ...ancestral, noiseSeedDelta: 31337 })];
    expect([...shifted.latents]).toEqual([...plain.latents]);
    // Torch's numbers: the second draw of seed 5, and the first two of seed 31342.
    close(draw(plain), [0.194938, 1.540764, -0.660341, 0.753575]);
    close(draw(shifted), [0.685991, -0.450152, -0.504021, 2.425402]);
    close(draw(shifted), [-1.05335, -0.670729, -0.547665, -1.380717]);
  });

  it("goes with each picture's seed, also below it and with Philox", async () => {
    const slots = await pipeline.prepare({ ...ancestral, noise: "philox", count: 2, noiseSeedDelta: -4 });
    for (const [i, slot] of slots.entries())
      expect([...draw(slot)]).toEqual([...createRandom("philox", 1 + i).normal(slot.latents.length)]);
  });

  it("leaves Brownian paths alone", async () => {
    const sde = { ...ancestral, scheduler: { a1111: { sampler: "DPM++ SDE" } } };
    const shifted = await slotOf({ ...sde, noiseSeedDelta: 7 });
    expect(draw(shifted, 10, 1)).toEqual(draw(await slotOf(sde), 10, 1));
  });

  it.each([0.5, 2 ** 33, Number.NaN])("of %d is refused", async (noiseSeedDelta) => {
    const refused = pipeline.prepare({ ...ancestral, noiseSeedDelta });
    await expect(refused).rejects.toMatchObject({ code: "invalid_request", subject: "noiseSeedDelta" });
  });

  async function slotOf(request: GenerateRequest): Promise<Slot> {
    const [slot] = await pipeline.prepare(request);
    if (!slot) throw new Error("no slot was prepared");
    return slot;
  }
});

function draw({ definition }: Slot, from?: number, to?: number): Float32Array {
  return definition.noise.draw(from, to);
}

function close(found: Float32Array, begin: readonly number[]): void {
  for (const [i, value] of begin.entries()) expect(found[i]).toBeCloseTo(value, 5);
}
