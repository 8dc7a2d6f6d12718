import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { writeSafetensors } from "../checkpoint/write-safetensors.ts";
import { KilnError } from "../errors.ts";
import { denseDelta } from "../testing/dense-delta.ts";
import { type Adapter, fitAdapter, openAdapter } from "./adapter.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-lycoris-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A model with one linear layer (6 out, 8 in) and one convolution (6 out, 4 in, 3x3). */
const LINEAR = "mid_block.attentions.0.proj_in";
const CONVOLUTION = "down_blocks.0.resnets.0.conv1";
const weight = (shape: readonly number[]) => ({ source: "/nowhere", offset: 0, byteLength: 0, type: "float32" as const, shape });
const unet: Weights = new Map([
  [`${LINEAR}.weight`, weight([6, 8])],
  [`${CONVOLUTION}.weight`, weight([6, 4, 3, 3])],
]);

interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

let seed = 1;
/** Small numbers without a pattern. */
function draw(...shape: number[]): Values {
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length: count }, () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647 - 0.5;
  });
  return { shape, data };
}

const scalar = (value: number): Values => ({ shape: [], data: new Float32Array([value]) });

async function fit(layer: string, parts: Readonly<Record<string, Values>>, metadata?: Record<string, string>): Promise<Adapter> {
  const path = join(folder, "adapter.safetensors");
  const module = `lora_unet_${layer.replaceAll(".", "_")}`;
  const tensors = Object.entries(parts).map(([part, { shape, data }]) => ({
    name: part.startsWith("unet.") ? part : `${module}.${part}`,
    type: "float32" as const,
    shape,
    bytes: () => new Uint8Array(data.buffer),
  }));
  await writeSafetensors(path, tensors, metadata);
  return fitAdapter(await openAdapter(path), { unet });
}

/** Compares with the definition, element by element: `expected(out, in, kernel position)`. */
async function expectDelta(
  adapter: Adapter,
  layer: string,
  shape: readonly number[],
  expected: (o: number, i: number, k: number) => number,
): Promise<number> {
  const factors = await adapter.layers.get(`unet:${layer}`)?.factors();
  if (factors === undefined) throw new Error("no layer");
  const delta = denseDelta(factors);
  const [out = 0, into = 0, height = 1, width = 1] = shape;
  const kernel = height * width;
  expect(delta.length).toBe(out * into * kernel);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < into; i++)
      for (let k = 0; k < kernel; k++) expect(delta[(o * into + i) * kernel + k]).toBeCloseTo(expected(o, i, k), 5);
  }
  return factors.rank;
}

/** Element of a row-major array. */
const get = ({ shape, data }: Values, ...index: number[]) =>
  data[index.reduce((position, at, axis) => position * (shape[axis] ?? 1) + at, 0)] ?? 0;
const sum = (count: number, term: (index: number) => number) =>
  Array.from({ length: count }, (_, i) => term(i)).reduce((a, b) => a + b, 0);

describe("LyCORIS' forms, by their definitions", () => {
  test("LoCon with a core", async () => {
    const [down, up, mid] = [draw(2, 4, 1, 1), draw(6, 2, 1, 1), draw(2, 2, 3, 3)];
    const adapter = await fit(CONVOLUTION, {
      "lora_down.weight": down,
      "lora_up.weight": up,
      "lora_mid.weight": mid,
      alpha: scalar(1),
    });
    await expectDelta(
      adapter,
      CONVOLUTION,
      [6, 4, 3, 3],
      (o, i, k) => 0.5 * sum(2, (p) => sum(2, (q) => get(up, o, p) * (mid.data[(p * 2 + q) * 9 + k] ?? 0) * get(down, q, i))),
    );
  });

  test.each([2, 3])("LoHa of rank %i, linear", async (rank) => {
    const [a1, b1, a2, b2] = [draw(6, rank), draw(rank, 8), draw(6, rank), draw(rank, 8)];
    const adapter = await fit(LINEAR, { hada_w1_a: a1, hada_w1_b: b1, hada_w2_a: a2, hada_w2_b: b2, alpha: scalar(1) });
    const found = await expectDelta(adapter, LINEAR, [6, 8], (o, i) => {
      const half = (a: Values, b: Values) => sum(rank, (r) => get(a, o, r) * get(b, r, i));
      return (half(a1, b1) * half(a2, b2)) / rank;
    });
    // Rank 9 is no saving against six outputs: the delta is kept whole.
    expect(found).toBe(rank === 2 ? 4 : 6);
  });

  test("LoHa of a convolution, flat and with cores", async () => {
    const [a1, b1, a2, b2] = [draw(6, 2), draw(2, 36), draw(6, 2), draw(2, 36)];
    const flat = await fit(CONVOLUTION, { hada_w1_a: a1, hada_w1_b: b1, hada_w2_a: a2, hada_w2_b: b2 });
    await expectDelta(flat, CONVOLUTION, [6, 4, 3, 3], (o, i, k) => {
      const half = (a: Values, b: Values) => sum(2, (r) => get(a, o, r) * get(b, r, i * 9 + k));
      return half(a1, b1) * half(a2, b2);
    });
    const [t1, t2, c1, d1, c2, d2] = [draw(2, 2, 3, 3), draw(2, 2, 3, 3), draw(2, 6), draw(2, 4), draw(2, 6), draw(2, 4)];
    const cored = await fit(CONVOLUTION, {
      hada_t1: t1,
      hada_t2: t2,
      hada_w1_a: c1,
      hada_w1_b: d1,
      hada_w2_a: c2,
      hada_w2_b: d2,
      alpha: scalar(4),
    });
    await expectDelta(cored, CONVOLUTION, [6, 4, 3, 3], (o, i, k) => {
      const half = (t: Values, a: Values, b: Values) =>
        sum(2, (p) => sum(2, (q) => (t.data[(p * 2 + q) * 9 + k] ?? 0) * get(a, p, o) * get(b, q, i)));
      return 2 * half(t1, c1, d1) * half(t2, c2, d2);
    });
  });

  test("LoKr with both sides whole: alpha does not apply", async () => {
    const [w1, w2] = [draw(2, 4), draw(3, 2)];
    const adapter = await fit(LINEAR, { lokr_w1: w1, lokr_w2: w2, alpha: scalar(100) });
    await expectDelta(adapter, LINEAR, [6, 8], (o, i) => get(w1, Math.floor(o / 3), Math.floor(i / 2)) * get(w2, o % 3, i % 2));
  });

  test("LoKr with both sides factored", async () => {
    const [a1, b1, a2, b2] = [draw(2, 1), draw(1, 4), draw(3, 1), draw(1, 2)];
    const adapter = await fit(LINEAR, { lokr_w1_a: a1, lokr_w1_b: b1, lokr_w2_a: a2, lokr_w2_b: b2, alpha: scalar(3) });
    const rank = await expectDelta(adapter, LINEAR, [6, 8], (o, i) => {
      return 3 * get(a1, Math.floor(o / 3), 0) * get(b1, 0, Math.floor(i / 2)) * get(a2, o % 3, 0) * get(b2, 0, i % 2);
    });
    expect(rank).toBe(1);
  });

  test("LoKr of a convolution: whole, flat, and with a core", async () => {
    const w1 = draw(2, 2);
    const place = (o: number, i: number) => get(w1, Math.floor(o / 3), Math.floor(i / 2));
    const w2 = draw(3, 2, 3, 3);
    const whole = await fit(CONVOLUTION, { lokr_w1: w1, lokr_w2: w2 });
    await expectDelta(
      whole,
      CONVOLUTION,
      [6, 4, 3, 3],
      (o, i, k) => place(o, i) * (w2.data[((o % 3) * 2 + (i % 2)) * 9 + k] ?? 0),
    );
    const [a, b] = [draw(3, 1), draw(1, 18)];
    const flat = await fit(CONVOLUTION, { lokr_w1: w1, lokr_w2_a: a, lokr_w2_b: b });
    await expectDelta(flat, CONVOLUTION, [6, 4, 3, 3], (o, i, k) => place(o, i) * get(a, o % 3, 0) * get(b, 0, (i % 2) * 9 + k));
    const [t, c, d] = [draw(2, 2, 3, 3), draw(2, 3), draw(2, 2)];
    const cored = await fit(CONVOLUTION, { lokr_w1: w1, lokr_t2: t, lokr_w2_a: c, lokr_w2_b: d });
    await expectDelta(
      cored,
      CONVOLUTION,
      [6, 4, 3, 3],
      (o, i, k) =>
        place(o, i) * sum(2, (p) => sum(2, (q) => (t.data[(p * 2 + q) * 9 + k] ?? 0) * get(c, p, o % 3) * get(d, q, i % 2))),
    );
  });

  test("a whole difference", async () => {
    const diff = draw(6, 8);
    await expectDelta(await fit(LINEAR, { diff }), LINEAR, [6, 8], (o, i) => get(diff, o, i));
  });

  test("PEFT's alpha in the metadata", async () => {
    const [down, up] = [draw(2, 8), draw(6, 2)];
    const metadata = { lora_adapter_metadata: JSON.stringify({ "unet.r": 2, "unet.lora_alpha": 8 }) };
    const adapter = await fit(LINEAR, { [`unet.${LINEAR}.lora_A.weight`]: down, [`unet.${LINEAR}.lora_B.weight`]: up }, metadata);
    await expectDelta(adapter, LINEAR, [6, 8], (o, i) => 4 * sum(2, (r) => get(up, o, r) * get(down, r, i)));
  });
});

test("PEFT's rank-stabilised alpha", async () => {
  const [down, up] = [draw(4, 8), draw(6, 4)];
  const metadata = {
    lora_adapter_metadata: JSON.stringify({ "unet.lora_alpha": 8, "unet.use_rslora": true, "unet.alpha_pattern": { other: 1 } }),
  };
  const adapter = await fit(LINEAR, { [`unet.${LINEAR}.lora_A.weight`]: down, [`unet.${LINEAR}.lora_B.weight`]: up }, metadata);
  await expectDelta(adapter, LINEAR, [6, 8], (o, i) => 4 * sum(4, (r) => get(up, o, r) * get(down, r, i)));
});

describe("files that lie", () => {
  const good = () => ({ "lora_down.weight": draw(2, 8), "lora_up.weight": draw(6, 2) });
  const cases: readonly [what: string, parts: () => Record<string, Values>, code: string][] = [
    ["inputs that do not fit", () => ({ ...good(), "lora_down.weight": draw(2, 7) }), "adapter_mismatch"],
    ["ranks that differ", () => ({ ...good(), "lora_up.weight": draw(6, 3) }), "adapter_mismatch"],
    ["half of a pair", () => ({ "lora_down.weight": draw(2, 8) }), "file_corrupt"],
    ["rank 0", () => ({ "lora_down.weight": draw(0, 8), "lora_up.weight": draw(6, 0) }), "file_corrupt"],
    ["DoRA", () => ({ ...good(), dora_scale: draw(6, 1) }), "file_unsupported"],
    ["a Kronecker product of another size", () => ({ lokr_w1: draw(2, 2), lokr_w2: draw(3, 2) }), "adapter_mismatch"],
    ["a vector for a matrix", () => ({ lokr_w1: draw(8), lokr_w2: draw(3, 2) }), "file_corrupt"],
    ["alpha alone", () => ({ alpha: scalar(1) }), "adapter_mismatch"],
  ];
  test.each(cases)("%s", async (_, parts, code) => {
    const error: unknown = await fit(LINEAR, parts()).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(KilnError);
    expect(error).toMatchObject({ code });
  });

  test("NaN is found when the numbers are read", async () => {
    const parts = good();
    parts["lora_up.weight"].data[3] = Number.NaN;
    const adapter = await fit(LINEAR, parts);
    await expect(adapter.layers.get(`unet:${LINEAR}`)?.factors()).rejects.toMatchObject({ code: "numeric" });
    const infinite = await fit(LINEAR, { ...good(), alpha: scalar(Number.POSITIVE_INFINITY) });
    await expect(infinite.layers.get(`unet:${LINEAR}`)?.factors()).rejects.toMatchObject({ code: "numeric" });
  });
});
