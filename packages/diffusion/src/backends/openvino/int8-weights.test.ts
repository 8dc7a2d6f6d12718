import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readBytes, readTensor } from "../../checkpoint/read-tensor.ts";
import { openSafetensors } from "../../checkpoint/safetensors.ts";
import type { TensorView } from "../../checkpoint/tensor-view.ts";
import { writeSafetensors } from "../../checkpoint/write-safetensors.ts";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph } from "../../graph/graph.ts";
import { floatTensor } from "../../graph/tensor.ts";
import { findOpenVino } from "./find-openvino.ts";
import { findInt8Layers } from "./int8-layers.ts";
import { int8Weights } from "./int8-weights.ts";
import type { OperationTime } from "./library.ts";
import { openVinoBackend } from "./openvino-backend.ts";

const WIDTH = 64;
const MATRICES = ["inner", "gate", "keys", "vector", "turned"];

function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233));
}

/** Layers of each kind that int8 tells apart; `inner` and `gate` alone are of the kind that it takes. */
function network(tensors: ReadonlyMap<string, TensorView>): Graph {
  const g = new GraphBuilder("layers");
  const tensor = (name: string) => tensors.get(name) ?? expect.fail(`no ${name}`);
  const text = g.input("text", "float32", ["batch", "words", WIDTH]);
  const normed = g.layerNorm(g.input("x", "float32", ["batch", "tokens", WIDTH]), ...unit(g), 1e-5);
  const inner = g.linear(normed, g.weight(tensor("inner")), undefined, WIDTH);
  const gated = g.geglu(g.linear(inner, g.weight(tensor("gate")), undefined, 2 * WIDTH));
  const keys = g.linear(text, g.weight(tensor("keys")), undefined, WIDTH);
  const vector = g.linear(g.silu(g.input("vector", "float32", ["batch", WIDTH])), g.weight(tensor("vector")), undefined, WIDTH);
  const turned = g.linear(gated, g.weight({ ...tensor("turned"), transposed: true }), undefined, WIDTH);
  g.output("y", g.attention(turned, keys, keys, { heads: 2, causal: false }));
  g.output("v", vector);
  return g.build();
}

function unit(g: GraphBuilder) {
  return [g.constant(new Float32Array(WIDTH).fill(1), [WIDTH]), g.constant(new Float32Array(WIDTH), [WIDTH])] as const;
}

describe("int8 weights", () => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-int8-"));
  const int8Folder = join(folder, "int8");
  const path = join(folder, "weights.safetensors");
  let graph: Graph;

  beforeAll(async () => {
    const tensors = MATRICES.map((name, seed) => {
      const rows = name === "gate" ? 2 * WIDTH : WIDTH;
      const bytes = () => new Uint8Array(numbers(rows * WIDTH, seed).map((value) => value / Math.sqrt(WIDTH)).buffer);
      return { name, type: "float32" as const, shape: [rows, WIDTH], bytes };
    });
    await writeSafetensors(path, tensors);
    graph = network((await openSafetensors(path)).tensors);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("are those of layers over tokens, not of vectors, of the network's inputs, or stored the other way round", async () => {
    const shapes = findInt8Layers(graph).map((node) => node.attributes.shape);
    expect(shapes).toEqual([
      [WIDTH, WIDTH],
      [2 * WIDTH, WIDTH],
    ]);
  });

  it("are made once, and hold the weights to half a step", async () => {
    const notices: string[] = [];
    const options = { int8Folder, onNotice: (sentence: string) => notices.push(sentence) };
    const [made] = await Promise.all([int8Weights(graph, options), int8Weights(graph, options)]);
    await int8Weights(graph, options);
    expect(notices).toHaveLength(1);
    for (const [node, { values, scales }] of made) {
      if (node.op !== "weight") expect.fail("a layer has a weight");
      const weights = await readTensor(node.attributes.tensor);
      const bytes = new Int8Array((await readBytes(values)).slice().buffer);
      const steps = await readTensor(scales);
      for (const [i, weight] of weights.entries()) {
        const step = steps[Math.floor(i / WIDTH)] ?? Number.NaN;
        expect(Math.abs((bytes[i] ?? 0) * step - weight)).toBeLessThanOrEqual(step * 0.5001);
      }
    }
  });

  it("are made anew when the weights' file has changed, and the old ones and what was left unfinished go", async () => {
    await int8Weights(graph, { int8Folder });
    const before = readdirSync(int8Folder);
    utimesSync(path, 1, 1);
    for (const name of [`${"0".repeat(32)}.safetensors.1.partial`, "somebody-elses.partial"]) {
      writeFileSync(join(int8Folder, name), "");
      utimesSync(join(int8Folder, name), 1, 1);
    }
    await int8Weights(graph, { int8Folder });
    const after = readdirSync(int8Folder);
    expect(after).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.safetensors$/), "somebody-elses.partial"]);
    expect(after).not.toContain(before[0]);
  });

  it("say what to do where they cannot be kept", async () => {
    await expect(int8Weights(graph, { int8Folder: path })).rejects.toMatchObject({ code: "file_unsupported", subject: path });
  });

  const libraries = findOpenVino();
  it.runIf(libraries !== undefined)("are multiplied as bytes by OpenVINO, and answer nearly as float32 does", async () => {
    const kernels: OperationTime[] = [];
    const run = async (precision: "float32" | "int8") => {
      const onProfile = (_: string, operations: readonly OperationTime[]) => kernels.push(...operations);
      const backend = openVinoBackend({ libraries: libraries ?? "", precision, int8Folder, onProfile });
      const compiled = await backend.compile(graph);
      const { y } = await compiled.run({
        x: floatTensor(numbers(2 * 48 * WIDTH, 5), [2, 48, WIDTH]),
        text: floatTensor(numbers(2 * 7 * WIDTH, 6), [2, 7, WIDTH]),
        vector: floatTensor(numbers(2 * WIDTH, 7), [2, WIDTH]),
      });
      await compiled.dispose();
      return y?.data ?? expect.fail("no output");
    };
    const [exact, rounded] = [await run("float32"), await run("int8")];
    // The gated layer is two.
    expect(kernels.filter(({ type }) => type === "FullyConnectedCompressed")).toHaveLength(3);
    const error = Math.hypot(...exact.map((value, i) => value - (rounded[i] ?? 0))) / Math.hypot(...exact);
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(0.05);
  });
});
