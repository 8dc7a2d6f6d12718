import type { Graph, Node, Value } from "../../graph/graph.ts";

/**
 * The graph without additions of inputs that hold a single zero: what a UNet gets for the residuals of ControlNets where there are
 * none. So the sums around them can be fused with what comes behind.
 * @param absent names of such inputs.
 */
export function withoutAbsent(graph: Graph, absent: ReadonlySet<string>): Graph {
  if (absent.size === 0) return graph;
  const zeros = new Set(graph.inputs.filter(({ name }) => absent.has(name)).map(({ value }) => value.id));
  const stands = new Map<number, Value>();
  const resolve = (value: Value): Value => stands.get(value.id) ?? value;
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(resolve);
    if (node.op === "add") {
      const rest = inputs.filter(({ id }) => !zeros.has(id));
      const [only] = rest;
      if (rest.length === 1 && only && only.rank >= node.output.rank) {
        stands.set(node.output.id, only);
        continue;
      }
    }
    nodes.push({ ...node, inputs });
  }
  const used = new Set(nodes.flatMap((node) => node.inputs.map(({ id }) => id)));
  return {
    ...graph,
    nodes,
    inputs: graph.inputs.filter(({ name, value }) => !absent.has(name) || used.has(value.id)),
    outputs: new Map([...graph.outputs].map(([name, value]) => [name, resolve(value)])),
  };
}
