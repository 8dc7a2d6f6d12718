import { expect, it } from "vitest";
import { paddedRows } from "./padded-rows.ts";

it("rows are padded to few numbers, by three at most", () => {
  const counts = Array.from({ length: 65 }, (_, rows) => rows);
  const padded = counts.map(paddedRows);
  expect([...new Set(padded)].slice(0, 10)).toEqual([0, 1, 2, 4, 6, 8, 12, 16, 20, 24]);
  for (const [rows, count] of padded.entries()) {
    expect(count).toBeGreaterThanOrEqual(rows);
    expect(count - rows).toBeLessThan(4);
  }
});
