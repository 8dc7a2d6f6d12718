import { describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.ts";
import type { TensorView } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { NetworkCache } from "./network-cache.ts";

const BYTES = 40;
const tensors = "abc"
  .split("")
  .map((source): TensorView => ({ source, offset: 0, byteLength: BYTES, type: "float32", shape: [10] }));

/** A network over some of the tensors, by their letters. */
function over(letters: string): Graph {
  const graph = new GraphBuilder(letters);
  for (const tensor of tensors) if (letters.includes(String(tensor.source))) graph.weight(tensor);
  return graph.build();
}

/** Networks that compute nothing: what is looked at is which of them the cache keeps. */
function backend(shares: boolean, disposed: string[]): Backend {
  return {
    name: "test",
    precision: "float32",
    compile: async ({ name, nodes }) => {
      const weights = new Map(nodes.flatMap((node) => (node.op === "weight" ? [[node.attributes.tensor, BYTES] as const] : [])));
      return {
        inputs: [],
        weightBytes: weights.size * BYTES,
        ...(shares ? { sharedWeights: weights } : {}),
        run: async () => ({}),
        dispose: async () => {
          disposed.push(name);
        },
      };
    },
  };
}

describe("a cache of networks", () => {
  const open = (shares: boolean, budget: number) => {
    const disposed: string[] = [];
    const cache = new NetworkCache(backend(shares, disposed), budget);
    const use = (letters: string) =>
      cache.use(
        letters,
        () => over(letters),
        async () => undefined,
      );
    return { cache, disposed, use };
  };

  it("lets the one used least recently go where the budget is exceeded", async () => {
    const { cache, disposed, use } = open(false, 2 * BYTES);
    for (const letters of ["a", "b", "a", "c"]) await use(letters);
    expect(disposed).toEqual(["b"]);
    expect(cache.bytes).toBe(2 * BYTES);
  });

  it("counts weights once that networks share", async () => {
    const { cache, disposed, use } = open(true, 2 * BYTES);
    for (const letters of ["a", "ab", "b"]) await use(letters);
    expect([disposed, cache.bytes]).toEqual([[], 2 * BYTES]);
    await cache.dispose();
    expect(cache.bytes).toBe(0);
  });

  it("keeps one whose weights the network in use holds too, and lets it go when that is not in use", async () => {
    const { cache, disposed, use } = open(true, 2 * BYTES);
    for (const letters of ["a", "b", "ac"]) await use(letters);
    expect(disposed).toEqual(["b"]);
    for (const letters of ["b", "bc"]) await use(letters);
    expect(disposed).toEqual(["b", "a", "ac"]);
    expect(cache.bytes).toBe(2 * BYTES);
  });
});
