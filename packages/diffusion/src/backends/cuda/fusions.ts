import type { Graph, Node, NodeOf, Value } from "../../graph/graph.ts";

/** A normalisation of a sum, computed in one kernel with it. */
export type NormNode = NodeOf<"groupNorm"> | NodeOf<"layerNorm">;

/** Which nodes share a kernel. */
export interface FusionPlan {
  /** Values of linear layers and convolutions whose bias is added by the one op that uses them. */
  readonly heldBiases: ReadonlySet<number>;
  /** The norm that is computed with a sum, by the sum's value. */
  readonly normOfSum: ReadonlyMap<number, NormNode>;
  /** How often each value is used, as an input of a node or as an output of the graph. */
  readonly uses: ReadonlyMap<number, number>;
}

/**
 * Finds sums with a norm behind them (SkipGroupNorm, SkipLayerNormalization) and biases that a kernel further on adds anyway:
 * those, BiasSplitGelu and BiasAdd. Whether sizes fit is seen when they are lowered.
 */
export function planFusions(graph: Graph): FusionPlan {
  const users = new Map<number, Node[]>();
  const uses = new Map<number, number>();
  const producers = new Map<number, Node>();
  for (const node of graph.nodes) {
    producers.set(node.output.id, node);
    for (const { id } of node.inputs) {
      users.set(id, [...(users.get(id) ?? []), node]);
      uses.set(id, (uses.get(id) ?? 0) + 1);
    }
  }
  for (const { id } of graph.outputs.values()) uses.set(id, (uses.get(id) ?? 0) + 1);

  /** The linear layer or convolution whose bias can be added with `value`, seen through reshapes that nothing else uses. */
  const held = (value: Value): number | undefined => {
    const producer = producers.get(value.id);
    if (!producer || uses.get(value.id) !== 1) return undefined;
    if (producer.op === "linear" || producer.op === "conv2d") return producer.inputs.length === 3 ? value.id : undefined;
    const [inner] = producer.inputs;
    return producer.op === "tokensToImage" && inner ? held(inner) : undefined;
  };

  const heldBiases = new Set<number>();
  const normOfSum = new Map<number, NormNode>();
  for (const node of graph.nodes) {
    if (node.op === "geglu" || node.op === "add") {
      const product = node.inputs.map(held).find((id) => id !== undefined);
      if (product !== undefined) heldBiases.add(product);
    }
    if (node.op === "add") {
      const norm = (users.get(node.output.id) ?? []).find((user): user is NormNode => isNormOf(user, node.output));
      if (norm) normOfSum.set(node.output.id, norm);
    }
  }
  return { heldBiases, normOfSum, uses };
}

function isNormOf(node: Node, value: Value): node is NormNode {
  return (node.op === "groupNorm" || node.op === "layerNorm") && node.inputs[0]?.id === value.id;
}
