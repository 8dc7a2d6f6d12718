import { GraphBuilder } from "./builder.ts";
import type { Graph, Value } from "./graph.ts";

/** A graph whose outputs go into another's inputs of the same names. */
export interface Feeder {
  readonly graph: Graph;
  /** Begins the names of its inputs in the joined graph, which must differ from all others. */
  readonly prefix: string;
}

/**
 * One graph of several, so that what goes from one to the other never leaves the device: every output of the feeders is multiplied
 * by a factor for each row, and the sum of those of one name stands for the graph's input of that name.
 *
 * Inputs: the graph's own that nothing feeds; the feeders', under their prefixes; and the factors (`factorName`) [batch, 1].
 * Outputs: the graph's.
 */
export function joinGraphs(graph: Graph, feeders: readonly Feeder[]): Graph {
  const all = [graph, ...feeders.map((feeder) => feeder.graph)];
  const builder = new GraphBuilder(all.map(({ name }) => name).join(" with "), {
    needsFloat32Range: all.some(({ needsFloat32Range }) => needsFloat32Range),
  });
  const sums = new Map<string, Value>();
  for (const { graph: feeder, prefix } of feeders) {
    const outputs = builder.include(feeder, ({ name, type, shape }) => builder.input(prefix + name, type, shape));
    for (const [name, value] of outputs) {
      const factor = builder.input(factorName(prefix, name), "float32", ["batch", 1]);
      const fed = builder.multiply(value, builder.spread(factor));
      const sum = sums.get(name);
      sums.set(name, sum ? builder.add(sum, fed) : fed);
    }
  }
  const outputs = builder.include(graph, ({ name, type, shape }) => sums.get(name) ?? builder.input(name, type, shape));
  for (const [name, value] of outputs) builder.output(name, value);
  return builder.build();
}

/** The input that holds what a feeder's output is multiplied by. */
export function factorName(prefix: string, output: string): string {
  return `${prefix}${output}.factor`;
}
