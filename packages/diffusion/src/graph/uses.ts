import type { Graph, Node } from "./graph.ts";

/** Where the values of a graph come from and go to, by their ids. */
export interface Uses {
  readonly producers: ReadonlyMap<number, Node>;
  /** How often each value is used, as an input of a node or as an output of the graph. */
  readonly counts: ReadonlyMap<number, number>;
}

/** Counts a graph's values: what one node alone reads can be fused into it. */
export function usesOf(graph: Graph): Uses {
  const counts = new Map<number, number>();
  for (const { id } of [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.values()])
    counts.set(id, (counts.get(id) ?? 0) + 1);
  return { producers: new Map(graph.nodes.map((node) => [node.output.id, node])), counts };
}
