import type { Graph } from "../graph/graph.ts";
import { factorName, joinGraphs } from "../graph/join-graphs.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { residualNames } from "../models/unet.ts";
import type { ControlNetwork } from "./control-network.ts";
import type { Row } from "./row.ts";

/** A UNet and the ControlNets that act on its rows as one network, in whose middle the residuals stay. */

/** Rows of a batch on which the same ControlNets act: they can share a call of such a network. */
export interface ControlGroup {
  /** None: the plain UNet. One that acts twice on each row is here twice. */
  readonly networks: readonly ControlNetwork[];
  /** Their controls are those of `networks`, in that order. */
  readonly rows: readonly Row[];
  /** Where each row stands in the batch. */
  readonly places: readonly number[];
}

/** A row gets what it would get alone: one that no ControlNet acts on shares no call with those that have one. */
export function groupByControls(rows: readonly Row[]): readonly ControlGroup[] {
  const groups = new Map<string, { networks: readonly ControlNetwork[]; rows: Row[]; places: number[] }>();
  for (const [place, row] of rows.entries()) {
    const controls = [...row.controls].sort((a, b) => byKey(a.network, b.network));
    const networks = controls.map(({ network }) => network);
    const key = controlledKey("", networks);
    const group = groups.get(key) ?? { networks, rows: [], places: [] };
    group.rows.push({ ...row, controls });
    group.places.push(place);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The name of a UNet that is joined with ControlNets; its own name where there are none. */
export function controlledKey(unet: string, networks: readonly ControlNetwork[]): string {
  return [unet, ...networks.map(({ key }) => key)].join(" with ");
}

/** The UNet's graph, with the scaled residuals of ControlNets where it takes residuals. */
export function joinControls(unet: Graph, networks: readonly ControlNetwork[]): Graph {
  return networks.length === 0
    ? unet
    : joinGraphs(
        unet,
        networks.map((network, i) => ({ graph: network.build(), prefix: prefix(i) })),
      );
}

/**
 * What the joined network wants beside the UNet's own inputs.
 * @param rows each with a control for each of `networks`, in that order.
 */
export async function controlInputs(
  networks: readonly ControlNetwork[],
  rows: readonly Row[],
  size: { height: number; width: number },
): Promise<Record<string, Tensor>> {
  const feeds: Record<string, Tensor> = {};
  for (const [n, network] of networks.entries()) {
    const controlled = rows.flatMap((row) => row.controls.slice(n, n + 1).map((control) => ({ row, control })));
    for (const [name, tensor] of Object.entries(await network.inputs(controlled, size))) feeds[prefix(n) + name] = tensor;
    const factors = controlled.map(({ control }) => network.factors(control));
    for (const [i, name] of residualNames(network.config).entries()) {
      const ofRows = Float32Array.from(factors, (each) => each[i] ?? 0);
      feeds[factorName(prefix(n), name)] = floatTensor(ofRows, [rows.length, 1]);
    }
  }
  return feeds;
}

/** In one order, so that the same ControlNets in another are the same network. */
function byKey(a: ControlNetwork, b: ControlNetwork): number {
  return Number(a.key > b.key) - Number(a.key < b.key);
}

function prefix(index: number): string {
  return `control.${index}.`;
}
