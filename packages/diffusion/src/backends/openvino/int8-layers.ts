import type { Graph, Node, NodeOf } from "../../graph/graph.ts";
import { usesOf } from "../../graph/uses.ts";

/**
 * The weights of a network that may be computed in int8: those of linear layers over tokens, where nearly all of a transformer's
 * products are. Layers that read an input of the network itself (the keys and values of a prompt, whose outliers round badly) and
 * layers of vectors (the embeddings of time and size) are few and feed everything else, and so stay as they are. So do text
 * encoders and VAEs, which run once a picture and are known by having no gated layers.
 */
export function findInt8Layers(graph: Graph): NodeOf<"weight">[] {
  if (!graph.nodes.some(({ op }) => op === "geglu")) return [];
  const { producers, counts } = usesOf(graph);
  const given = new Set(graph.inputs.map(({ value }) => value.id));
  return graph.nodes.flatMap((node) => {
    if (node.op !== "linear") return [];
    const [x, value] = node.inputs;
    const weight = value && counts.get(value.id) === 1 ? producers.get(value.id) : undefined;
    return x?.rank === 3 && !given.has(x.id) && isStoredMatrix(weight) ? [weight] : [];
  });
}

/** In a file, and in the order in which rows can be read one after another. */
function isStoredMatrix(node: Node | undefined): node is NodeOf<"weight"> {
  if (node?.op !== "weight") return false;
  const { tensor, shape } = node.attributes;
  return typeof tensor.source === "string" && shape.length === 2 && tensor.transposed !== true;
}
