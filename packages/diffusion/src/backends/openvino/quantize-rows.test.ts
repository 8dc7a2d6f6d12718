import { describe, expect, it } from "vitest";
import { quantizeRows } from "./quantize-rows.ts";

describe("quantizeRows", () => {
  it("gives each row the scale of its largest size, and rounds to the nearest step", () => {
    const { values, scales } = quantizeRows(Float32Array.of(0.5, -1, 0.25, 0, 254, 127, -3.1, 1), 4);
    expect([...scales]).toEqual([Math.fround(1 / 127), 2]);
    expect([...values]).toEqual([64, -127, 32, 0, 127, 64, -2, 1]);
  });

  it("keeps every number within half a step", () => {
    const columns = 37;
    const matrix = Float32Array.from({ length: 5 * columns }, (_, i) => Math.sin(i * 12.9898) * 10 ** ((i % 7) - 3));
    const { values, scales } = quantizeRows(matrix, columns);
    for (const [i, value] of matrix.entries()) {
      const scale = scales[Math.floor(i / columns)] ?? Number.NaN;
      expect(Math.abs((values[i] ?? 0) * scale - value)).toBeLessThanOrEqual(scale * 0.5001);
    }
  });

  it("leaves a row of zeros zero", () => {
    expect(quantizeRows(new Float32Array(3), 3)).toEqual({ values: new Int8Array(3), scales: new Float32Array(1) });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("lets %s spoil its row alone", (broken) => {
    const { scales } = quantizeRows(Float32Array.of(1, broken, 2, 127, 0, 0), 3);
    expect([...scales]).toEqual([Number.NaN, 1]);
  });
});
