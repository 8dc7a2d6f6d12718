import type { Graph, Node, NodeOf, Value } from "../../graph/graph.ts";
import { usesOf } from "../../graph/uses.ts";

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
  const { producers, counts } = usesOf(graph);
  const readOnce = (value: Value | undefined) => (value && counts.get(value.id) === 1 ? producers.get(value.id) : undefined);

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
