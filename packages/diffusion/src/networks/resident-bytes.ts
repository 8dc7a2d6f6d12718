import type { Backend } from "../backends/backend.ts";
import { BYTES_PER_ELEMENT } from "../checkpoint/tensor-view.ts";
import { elementCount } from "../checkpoint/views.ts";
import type { Graph } from "../graph/graph.ts";

/** Bytes of the machine's memory that the weights of a network take while it is compiled; 0 where they lie elsewhere. */
export function residentBytesOf(graph: Graph, { residentBytes = () => 0, int8Weights }: Backend): number {
  const rounded = new Set(int8Weights?.(graph));
  return graph.nodes.reduce((bytes, node) => {
    if (node.op !== "weight") return bytes;
    const { tensor, shape } = node.attributes;
    return bytes + (rounded.has(node) ? int8Bytes(shape) : residentBytes(tensor));
  }, 0);
}

/** A byte for each number, and a scale for each row. */
function int8Bytes(shape: readonly number[]): number {
  return elementCount(shape) + (shape[0] ?? 0) * BYTES_PER_ELEMENT.float32;
}
