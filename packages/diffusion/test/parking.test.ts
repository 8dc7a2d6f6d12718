import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type GenerateRequest,
  KilnError,
  type Pipeline,
  parseSlotState,
  resumeSlot,
  type Slot,
  serializeSlotState,
} from "../src/index.ts";
import { drawLatents, gradient, loadTinyXl, SMALL, TINY_XL } from "./tiny-xl.ts";

describe.skipIf(!TINY_XL)("slots", () => {
  let pipeline: Pipeline;
  /** Another, which knows nothing of the first, and has room for one picture with guidance in a call. */
  let narrow: Pipeline;
  beforeAll(async () => {
    pipeline = await loadTinyXl();
    narrow = await loadTinyXl({ maxRows: 2 });
  });
  afterAll(async () => {
    await pipeline.dispose();
    await narrow.dispose();
  });

  it.each<[string, Partial<GenerateRequest>]>([
    ["a deterministic scheduler", { scheduler: "Euler" }],
    ["a multistep scheduler", { scheduler: "DPM++ 2M Karras" }],
    ["one that remembers samples", { scheduler: "UniPC" }],
    ["one that draws at every step", { scheduler: "Euler a" }],
    ["one that draws, by Philox", { scheduler: "Euler a", noise: "philox" }],
    ["one with a Brownian path", { scheduler: "DPM++ SDE" }],
    ["one with two evaluations a step, parked between them", { scheduler: "Heun" }],
    ["AUTOMATIC1111's ancestral sampler", { scheduler: { a1111: { sampler: "Euler a", schedule: "Karras" } }, noise: "philox" }],
    ["one whose noise has a seed of its own", { scheduler: "Euler a", noiseSeedDelta: 31337 }],
    ["inpainting", { image: gradient(64, 64), mask: { width: 64, height: 64, data: halfWhite(64, 64) }, scheduler: "Euler a" }],
  ])("go on from a written state to the same picture, bit for bit, in another pipeline: %s", async (_name, change) => {
    const request = { ...SMALL, steps: 5, ...change };
    const whole = await drawLatents(pipeline, request);
    const written = serializeSlotState((await parkAfter(pipeline, request, 3)).save());

    const [fresh] = await narrow.prepare(request);
    const resumed = resumeSlot(definitionOf(fresh), parseSlotState(written));
    await narrow.model.denoiser.submit(resumed);
    expect(resumed.done).toBe(true);
    expect(Buffer.from(resumed.latents.buffer).equals(Buffer.from(whole.buffer))).toBe(true);
  });

  it("go on in the same pipeline from where they were parked", async () => {
    const slot = await parkAfter(pipeline, SMALL, 2);
    expect(slot.done).toBe(false);
    await pipeline.model.denoiser.submit(slot);
    expect([...slot.latents]).toEqual([...(await drawLatents(pipeline, SMALL))]);
  });

  it("hold their next step for an urgent one that is being prepared", async () => {
    const order: string[] = [];
    const [slow] = await narrow.prepare({ ...SMALL, steps: 8 });
    let hurried: Promise<unknown> | undefined;
    await narrow.model.denoiser.submit(slotOf(slow), {
      onStep: ({ step }) => {
        order.push(`slow ${step}`);
        // The steps of so small a network are shorter than anything that is waited for: one that takes its time is waited for.
        const until = performance.now() + 1000;
        if (step === 3) while (performance.now() < until);
        if (step !== 3) return;
        const onProgress = ({ step }: { step: number }) => order.push(`urgent ${step}`);
        hurried = narrow.generate({ ...SMALL, seed: 3, steps: 2 }, { priority: 5, onProgress });
      },
    });
    await hurried;
    expect(order.filter((each) => !each.endsWith(" 0")).slice(0, 6)).toEqual([
      "slow 1",
      "slow 2",
      "slow 3",
      "urgent 1",
      "urgent 2",
      expect.any(String),
    ]);
  });

  it("wait for nobody who is less urgent, and not for ever for anybody", async () => {
    const [slow] = await narrow.prepare(SMALL);
    const { denoiser } = narrow.model;
    const neverComes = [denoiser.expect(0), denoiser.expect(5)];
    await denoiser.submit(slotOf(slow));
    expect(slotOf(slow).done).toBe(true);
    for (const withdraw of neverComes) withdraw();
  });

  it("let an urgent one step next, and go on to the same picture", async () => {
    const order: string[] = [];
    const [slow] = await narrow.prepare({ ...SMALL, steps: 6 });
    const [urgent] = await narrow.prepare({ ...SMALL, seed: 2, steps: 3 });
    const { denoiser } = narrow.model;
    let hurried: Promise<void> | undefined;
    const first = denoiser.submit(slotOf(slow), {
      onStep: ({ step }) => {
        order.push(`slow ${step}`);
        if (step === 2) hurried = denoiser.submit(slotOf(urgent), { priority: 5, onStep: (s) => order.push(`urgent ${s.step}`) });
      },
    });
    await first;
    await hurried;
    expect(order).toEqual(["slow 1", "slow 2", "urgent 1", "urgent 2", "urgent 3", "slow 3", "slow 4", "slow 5", "slow 6"]);
    expect([...slotOf(slow).latents]).toEqual([...(await drawLatents(pipeline, { ...SMALL, steps: 6 }))]);
  });

  it("take turns where their priorities are equal and they cannot share a call", async () => {
    const order: string[] = [];
    const [one] = await narrow.prepare(SMALL);
    const [two] = await narrow.prepare({ ...SMALL, seed: 2 });
    await Promise.all(
      [slotOf(one), slotOf(two)].map((slot, i) => narrow.model.denoiser.submit(slot, { onStep: () => order.push(`${i}`) })),
    );
    expect(order.join("")).toBe("01010101");
  });

  it("end at the next step when they are cancelled, and their neighbours go on", async () => {
    const controller = new AbortController();
    let steps = 0;
    const cancelled = pipeline.generate(
      { ...SMALL, steps: 10 },
      {
        signal: controller.signal,
        onProgress: ({ phase }) => {
          if (phase === "denoising" && ++steps === 3) controller.abort();
        },
      },
    );
    const neighbour = drawLatents(pipeline, { ...SMALL, seed: 2 });
    await expect(cancelled).rejects.toMatchObject({ name: "KilnError", code: "cancelled" });
    expect(steps).toBe(3);
    expect([...(await neighbour)]).toEqual([...(await drawLatents(pipeline, { ...SMALL, seed: 2 }))]);
    expect(pipeline.model.denoiser.size).toBe(0);
  });

  it("are not begun when they are cancelled before", async () => {
    const signal = AbortSignal.abort();
    await expect(pipeline.generate(SMALL, { signal })).rejects.toMatchObject({ code: "cancelled" });
  });

  it("fail alone: a neighbour with broken latents does not hurt the others", async () => {
    const [broken] = await pipeline.prepare({ ...SMALL, seed: 3 });
    slotOf(broken).latents.fill(Number.NaN);
    const failing = pipeline.model.denoiser.submit(slotOf(broken));
    const fine = Promise.all([2, 4].map((seed) => drawLatents(pipeline, { ...SMALL, seed })));
    await expect(failing).rejects.toMatchObject({ code: "numeric" });
    const [two = new Float32Array(0)] = await fine;
    expect([...two]).toEqual([...(await drawLatents(pipeline, { ...SMALL, seed: 2 }))]);
  });
});

describe.skipIf(!TINY_XL)("a written state", () => {
  it("is refused where it is damaged, and where it belongs to another request", async () => {
    const pipeline = await loadTinyXl();
    const [slot] = await pipeline.prepare({ ...SMALL, scheduler: "Euler a" });
    const bytes = serializeSlotState(slotOf(slot).save());
    expect(parseSlotState(bytes)).toEqual(slotOf(slot).save());
    for (const damaged of damages(bytes)) {
      const refused = caught(() => parseSlotState(damaged));
      expect(refused).toBeInstanceOf(KilnError);
    }
    const [larger] = await pipeline.prepare({ ...SMALL, width: 72 });
    const other = caught(() => resumeSlot(definitionOf(larger), parseSlotState(bytes)));
    expect(other).toMatchObject({ code: "invalid_request" });
    await pipeline.dispose();
  });
});

function* damages(bytes: Uint8Array): Generator<Uint8Array> {
  for (const length of [0, 5, 8, 100, bytes.length - 1]) yield bytes.slice(0, length);
  yield Uint8Array.from([...bytes, 0]);
  const text = Buffer.from(bytes).toString("latin1");
  for (const [from, to] of [
    ["kiln slot state 1", "kiln slot state 9"],
    ['"index":"0"', '"index":"x"'],
    ['"latents"', '"latentz"'],
    ["torch-cpu", "torch-gpu"],
  ] as const) {
    expect(text).toContain(from);
    yield new Uint8Array(Buffer.from(text.replace(from, to), "latin1"));
  }
}

function caught(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

/** A slot that has made some evaluations and was then parked. */
async function parkAfter(pipeline: Pipeline, request: GenerateRequest, steps: number): Promise<Slot> {
  const [prepared] = await pipeline.prepare(request);
  const slot = slotOf(prepared);
  const { denoiser } = pipeline.model;
  const drawing = denoiser.submit(slot, { onStep: ({ step }) => step === steps && denoiser.park(slot) });
  await expect(drawing).rejects.toMatchObject({ code: "cancelled" });
  expect(slot.scheduler.index - slot.definition.begin).toBe(steps);
  return slot;
}

function slotOf(slot: Slot | undefined): Slot {
  if (!slot) throw new Error("no slot was prepared");
  return slot;
}

function definitionOf(slot: Slot | undefined): Slot["definition"] {
  return slotOf(slot).definition;
}

function halfWhite(width: number, height: number): Uint8Array {
  return new Uint8Array(width * height).fill(255, (width * height) / 2);
}
