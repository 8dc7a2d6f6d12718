import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { floats, readCase } from "../testing/case-file.ts";
import { REFERENCE_FOLDERS } from "../testing/reference.ts";
import { createRandom, restoreRandom } from "./create-random.ts";
import { roundToBfloat16, roundToFloat16 } from "./narrow-float.ts";
import type { RandomKind } from "./random.ts";

const folder = REFERENCE_FOLDERS.map((root) => join(root, "cases/random")).find((path) => existsSync(path));
const files = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith(".safetensors"));

function isKind(value: unknown): value is RandomKind {
  return value === "torch-cpu" || value === "philox";
}

function isType(value: unknown): value is "float32" | "float16" | "bfloat16" | "float64" {
  return value === "float32" || value === "float16" || value === "bfloat16" || value === "float64";
}

describe.skipIf(files.length === 0)("the reference cases", () => {
  it.each(files)("%s", (name) => {
    const file = readCase(join(folder ?? "", name));
    const { generator, seed, dtype, shapes, tolerance } = file.meta;
    if (!isKind(generator) || !isType(dtype) || !Array.isArray(shapes)) throw new Error("not a case of random numbers");
    const random = createRandom(generator, BigInt(String(seed)));
    shapes.forEach((shape: number[], n) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const drawn = random.normal(count, dtype);
      const tensor = file.tensors.get(`draw.${n}`);
      const expected = tensor?.data instanceof Float64Array ? tensor.data : floats(file, `draw.${n}`);
      expect(drawn.length).toBe(expected.length);
      const worst = Math.max(...Array.from(drawn, (value, i) => Math.abs(value - Number(expected[i]))));
      expect(worst).toBeLessThanOrEqual(Number(tolerance));
    });
  });
});

describe("a generator's state", () => {
  it.each(["torch-cpu", "philox"] as const)("goes on in another process (%s)", (kind) => {
    for (const draws of [[], [16], [3], [3, 700], [1, 20, 4]]) {
      const random = createRandom(kind, 2n ** 64n - 1n);
      for (const count of draws) random.normal(count);
      const copy = restoreRandom(JSON.parse(JSON.stringify(random.state())));
      for (const count of [5, 3, 100, 1]) expect(copy.normal(count)).toEqual(random.normal(count));
    }
  });

  it.each([
    { kind: "philox", seed: "1", words: [] },
    { kind: "philox", seed: "-1", words: [0] },
    { kind: "philox", seed: "18446744073709551616", words: [0] },
    { kind: "torch-cpu", seed: "1", words: [1, 2, 3] },
    { kind: "torch-cpu", seed: "1", words: new Array(625).fill(4294967295) },
    { kind: "torch-cpu", seed: "1", words: new Array(626).fill(1) },
    { kind: "torch-cpu", seed: "1", words: new Array(625).fill(0.5) },
  ] as const)("is refused where it is broken", (state) => {
    expect(() => restoreRandom(state)).toThrowError(expect.objectContaining({ code: "invalid_request" }));
  });
});

describe("a seed", () => {
  it.each([-1, 1.5, Number.NaN, 2 ** 53, 2n ** 64n, -1n])("%s is refused", (seed) => {
    expect(() => createRandom("torch-cpu", seed)).toThrowError(
      expect.objectContaining({ code: "invalid_request", subject: "seed" }),
    );
  });

  it("makes another stream for each kind and number", () => {
    const draws = [
      createRandom("torch-cpu", 1),
      createRandom("torch-cpu", 2),
      createRandom("philox", 1),
      createRandom("philox", 1n + 2n ** 40n),
    ];
    const numbers = draws.map((random) => random.normal(16)[0]);
    expect(new Set(numbers).size).toBe(4);
  });
});

describe("narrow floats", () => {
  it("round to the nearest, ties to even", () => {
    expect(roundToFloat16(1 + 2 ** -11)).toBe(1);
    expect(roundToFloat16(1 + 3 * 2 ** -11)).toBe(1 + 2 ** -9);
    expect(roundToFloat16(-(2 ** -25))).toBeCloseTo(0, 30);
    expect(roundToFloat16(3 * 2 ** -25)).toBe(2 ** -23);
    expect(roundToFloat16(65519)).toBe(65504);
    expect(roundToFloat16(-65520)).toBe(Number.NEGATIVE_INFINITY);
    expect(roundToBfloat16(1 + 2 ** -8)).toBe(1);
    expect(roundToBfloat16(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
  });
});
