import { expect, it } from "vitest";
import { onnxBackend } from "../backends/onnx/onnx-backend.ts";
import { GraphBuilder } from "./builder.ts";
import type { Graph } from "./graph.ts";
import { factorName, joinGraphs } from "./join-graphs.ts";
import { floatTensor, type Tensor } from "./tensor.ts";

const SHAPE = ["batch", 2, "height", "width"] as const;

/** Outputs `a` = x and `b` = factor x. */
function feeder(factor: number, needsFloat32Range = false): Graph {
  const graph = new GraphBuilder("feeder", { needsFloat32Range });
  const x = graph.input("x", "float32", SHAPE);
  graph.output("a", graph.scale(x, 1));
  graph.output("b", graph.scale(x, factor));
  return graph.build();
}

/** Output y = x + a + b. */
function main(): Graph {
  const graph = new GraphBuilder("main");
  const [x, a, b] = [graph.input("x", "float32", SHAPE), graph.input("a", "float32", SHAPE), graph.input("b", "float32", SHAPE)];
  graph.output("y", graph.add(graph.add(x, a), b));
  return graph.build();
}

const images = (first: number, second: number): Tensor =>
  floatTensor(Float32Array.of(first, first, second, second), [2, 2, 1, 1]);
const factors = (first: number, second: number): Tensor => floatTensor(Float32Array.of(first, second), [2, 1]);

it("what feeders put out goes into the graph, times each row's factor, all summed", async () => {
  const joined = joinGraphs(main(), [
    { graph: feeder(10), prefix: "one." },
    { graph: feeder(100), prefix: "two." },
  ]);
  expect(joined.inputs.map(({ name }) => name).sort()).toEqual(
    ["one.x", "two.x", "x", ...["one.", "two."].flatMap((prefix) => [factorName(prefix, "a"), factorName(prefix, "b")])].sort(),
  );
  const network = await onnxBackend({ threads: 1 }).compile(joined);
  const { y } = await network.run({
    x: images(1, 2),
    "one.x": images(3, 4),
    "two.x": images(5, 6),
    [factorName("one.", "a")]: factors(1, 0),
    [factorName("one.", "b")]: factors(2, 0),
    [factorName("two.", "a")]: factors(0, -1),
    [factorName("two.", "b")]: factors(0, 0.5),
  });
  await network.dispose();
  const [first, second] = [1 + 3 + 2 * 30, 2 - 6 + 0.5 * 600];
  expect([...(y?.data ?? [])]).toEqual([first, first, second, second]);
});

it("an input that nothing feeds stays an input, and a part that needs float32's range makes the whole need it", () => {
  expect(joinGraphs(main(), []).inputs.map(({ name }) => name)).toEqual(["x", "a", "b"]);
  expect(joinGraphs(main(), [{ graph: feeder(1), prefix: "p." }]).needsFloat32Range).toBe(false);
  expect(joinGraphs(main(), [{ graph: feeder(1, true), prefix: "p." }]).needsFloat32Range).toBe(true);
});
