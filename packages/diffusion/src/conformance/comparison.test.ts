import { describe, expect, it } from "vitest";
import type { CaseFile } from "../testing/case-file.ts";
import { compare, type ProducedTensors } from "./comparison.ts";

function caseOf(tolerance: unknown, expected: Readonly<Record<string, readonly number[]>>): CaseFile {
  const tensors = Object.entries(expected).map(
    ([name, data]) => [name, { type: "F32", shape: [data.length], data: Float32Array.from(data) }] as const,
  );
  return { meta: { expected: Object.keys(expected), tolerance }, tensors: new Map(tensors) };
}

function made(tensors: Readonly<Record<string, readonly number[]>>): ProducedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, data]) => [name, { shape: [data.length], data }]));
}

describe("compare", () => {
  it("passes what lies within the tolerance, and nothing beyond it", () => {
    const file = caseOf(0.25, { output: [1, 2] });
    expect(compare(file, made({ output: [1, 2.25] }))).toMatchObject({
      passed: true,
      groups: [{ group: "output", difference: 0.25 }],
    });
    expect(compare(file, made({ output: [1, 2.5] })).passed).toBe(false);
  });

  it("takes the tolerance of the longest beginning of a name, and the default for the rest", () => {
    const tolerance = { default: 1, latents: 0.5, "latents.after": 0.125 };
    const file = caseOf(tolerance, { "latents.final": [0], "latents.after.03": [0], other: [0] });
    const differences = compare(file, made({ "latents.final": [0.5], "latents.after.03": [0.25], other: [1] }));
    expect(differences.passed).toBe(false);
    expect(differences.groups).toEqual([
      { group: "latents", difference: 0.5, tolerance: 0.5 },
      { group: "latents.after", difference: 0.25, tolerance: 0.125 },
      { group: "other", difference: 1, tolerance: 1 },
    ]);
  });

  it.each([
    ["a tensor that was not made", made({}), "output was not made"],
    ["another length", made({ output: [1] }), "output is [1] and not [2]"],
    ["not a number", made({ output: [1, Number.NaN] }), "output holds NaN where 2 is expected"],
    ["infinity", made({ output: [1, Number.POSITIVE_INFINITY] }), "output holds Infinity where 2 is expected"],
    ["another shape of the same length", { output: { shape: [2, 1], data: [1, 2] } }, "output is [2, 1] and not [2]"],
  ])("never passes %s", (_what, produced, fault) => {
    expect(compare(caseOf(100, { output: [1, 2] }), produced)).toMatchObject({ passed: false, faults: [fault] });
  });

  it("never passes a case without tolerance or without anything that counts", () => {
    expect(compare(caseOf({ latents: 1 }, { output: [1] }), made({ output: [1] })).passed).toBe(false);
    expect(compare(caseOf(1, { "at.mid_block": [1], "down.00": [1], mid: [1], "step.01.x0": [1] }), made({})).passed).toBe(false);
  });

  it("does not count what is there for finding an error", () => {
    const file = caseOf(1, { "at.mid_block": [1], "step.01.x0": [1], "step.01.sample": [1] });
    expect(compare(file, made({ "step.01.sample": [1] })).passed).toBe(true);
  });
});
