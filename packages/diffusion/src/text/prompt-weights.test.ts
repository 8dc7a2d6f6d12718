import { describe, expect, it } from "vitest";
import { weightStates } from "./prompt-weights.ts";

describe("weightStates", () => {
  it("multiplies each position and keeps the mean", () => {
    const states = Float32Array.of(1, 2, 3, 6);
    const weighted = weightStates(states, [1, 2]);
    expect(weighted).toEqual(Float32Array.from([1, 2, 6, 12].map((value) => (value * 12) / 21)));
    expect(states).toEqual(Float32Array.of(1, 2, 3, 6));
  });

  it("gives the very same states where nothing is weighted", () => {
    const states = Float32Array.of(1, 2);
    expect(weightStates(states, [1, 1])).toBe(states);
  });

  it("stays finite where the weighted mean is 0", () => {
    expect(weightStates(Float32Array.of(1, 1), [0, 0])).toEqual(Float32Array.of(0, 0));
  });
});
