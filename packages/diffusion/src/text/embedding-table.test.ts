import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TensorView } from "../checkpoint/tensor-view.ts";
import { EmbeddingTable } from "./embedding-table.ts";

const ROWS = 5000;
const WIDTH = 3;
const PREFIX = 7; // An odd offset: files do not align their tensors.

describe("EmbeddingTable", () => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-embedding-"));
  const path = join(folder, "table.bin");
  const bytes = Buffer.alloc(PREFIX + ROWS * WIDTH * 4);
  const view = (change: Partial<TensorView> = {}): TensorView => ({
    source: path,
    offset: PREFIX,
    byteLength: ROWS * WIDTH * 4,
    type: "float32",
    shape: [ROWS, WIDTH],
    ...change,
  });
  beforeAll(() => {
    for (let i = 0; i < ROWS * WIDTH; i++) bytes.writeFloatLE(i, PREFIX + i * 4);
    writeFileSync(path, bytes);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const row = (id: number) => [id * 3, id * 3 + 1, id * 3 + 2];

  it.each([
    ["a file", path],
    ["memory", bytes],
  ])("reads rows from %s, with vectors in their places", async (_, source) => {
    const table = new EmbeddingTable(view({ source }));
    const states = await table.lookUp([4, 0, 4999, 4], new Map([[1, Float32Array.of(-1, -2, -3)]]));
    expect([...states]).toEqual([...row(4), -1, -2, -3, ...row(4999), ...row(4)]);
  });

  it("does not ask for the row under a vector", async () => {
    const table = new EmbeddingTable(view());
    expect([...(await table.lookUp([ROWS], new Map([[0, Float32Array.of(1, 2, 3)]])))]).toEqual([1, 2, 3]);
  });

  it("is right when many calls run beside each other and the cache overflows", async () => {
    const table = new EmbeddingTable(view());
    const calls = Array.from({ length: 80 }, (_, n) => Array.from({ length: 77 }, (__, k) => (n * 61 + k * 13) % ROWS));
    const results = await Promise.all(calls.map((ids) => table.lookUp(ids)));
    for (const [n, ids] of calls.entries()) expect([...(results[n] ?? [])]).toEqual(ids.flatMap(row));
  });

  it("reads bfloat16", async () => {
    const table = new EmbeddingTable(
      view({ source: Uint8Array.of(0x80, 0x3f, 0x00, 0x40), offset: 0, byteLength: 4, type: "bfloat16", shape: [2, 1] }),
    );
    expect([...(await table.lookUp([1, 0]))]).toEqual([2, 1]);
  });

  it.each<[string, Partial<TensorView>, number, string]>([
    ["a token that has no row", {}, ROWS, "checkpoint_incomplete"],
    ["a file that is gone", { source: join(folder, "gone") }, 0, "file_not_found"],
    ["a file that is cut", { shape: [ROWS + 1, WIDTH] }, ROWS, "file_corrupt"],
    ["NaN", { source: Uint8Array.of(0xff, 0xff), offset: 0, type: "bfloat16", shape: [1, 1] }, 0, "numeric"],
  ])("refuses %s", async (_, change, id, code) => {
    await expect(new EmbeddingTable(view(change)).lookUp([id])).rejects.toThrow(expect.objectContaining({ code }));
  });

  it("refuses what is no matrix, and a vector of another width", async () => {
    expect(() => new EmbeddingTable(view({ shape: [3] }))).toThrow(expect.objectContaining({ code: "checkpoint_incomplete" }));
    const wide = new Map([[0, Float32Array.of(1)]]);
    await expect(new EmbeddingTable(view()).lookUp([0], wide)).rejects.toThrow(
      expect.objectContaining({ code: "adapter_mismatch" }),
    );
  });
});
