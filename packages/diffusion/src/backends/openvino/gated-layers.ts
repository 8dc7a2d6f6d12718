import type { Graph, Node, NodeOf, Value } from "../../graph/graph.ts";

/** A linear layer whose only reader is a `geglu`, with weights that lie in a file in the order in which they can be cut in two. */
export interface GatedLayer {
  readonly x: Value;
  readonly weight: NodeOf<"weight">;
  readonly bias: NodeOf<"weight"> | undefined;
}

export interface GatedLayers {
  /** By the `geglu` that takes the place of both. */
  readonly layers: ReadonlyMap<Node, GatedLayer>;
  /** The nodes that are then not to be lowered by themselves. */
  readonly deferred: ReadonlySet<Node>;
}

/** Finds the feed-forward layers of a graph (GEGLU, Shazeer, arXiv 2002.05202) that can be computed as two halves. */
export function findGatedLayers(graph: Graph): GatedLayers {
  const producers = new Map(graph.nodes.map((node) => [node.output.id, node]));
  const readers = new Map<number, number>();
  for (const { id } of graph.nodes.flatMap(({ inputs }) => inputs)) readers.set(id, (readers.get(id) ?? 0) + 1);
  for (const { id } of graph.outputs.values()) readers.set(id, (readers.get(id) ?? 0) + 1);
  const readOnce = (value: Value | undefined) => {
    const node = value && producers.get(value.id);
    return value && readers.get(value.id) === 1 ? node : undefined;
  };

  const layers = new Map<Node, GatedLayer>();
  const deferred = new Set<Node>();
  for (const node of graph.nodes) {
    const linear = node.op === "geglu" ? readOnce(node.inputs[0]) : undefined;
    if (linear?.op !== "linear") continue;
    const [x] = linear.inputs;
    const [weight, bias] = [readOnce(linear.inputs[1]), readOnce(linear.inputs[2])];
    if (!x || weight?.op !== "weight" || weight.attributes.tensor.transposed) continue;
    if (linear.inputs[2] && bias?.op !== "weight") continue;
    layers.set(node, { x, weight, bias: bias?.op === "weight" ? bias : undefined });
    for (const done of [linear, weight, ...(bias ? [bias] : [])]) deferred.add(done);
  }
  return { layers, deferred };
}
