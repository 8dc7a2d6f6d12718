import type { Graph, Node, NodeOf, Value } from "../../graph/graph.ts";
import { usesOf } from "../../graph/uses.ts";

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
  const { producers, counts: uses } = usesOf(graph);
  /** The first norm of each value. */
  const norms = new Map<number, NormNode>();
  for (const node of graph.nodes) {
    const normed = isNorm(node) ? node.inputs[0]?.id : undefined;
    if (isNorm(node) && normed !== undefined && !norms.has(normed)) norms.set(normed, node);
  }

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
      const norm = norms.get(node.output.id);
      if (norm) normOfSum.set(node.output.id, norm);
    }
  }
  return { heldBiases, normOfSum, uses };
}

function isNorm(node: Node): node is NormNode {
  return node.op === "groupNorm" || node.op === "layerNorm";
}
