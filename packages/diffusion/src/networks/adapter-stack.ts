import { createHash } from "node:crypto";
import type { Adapter } from "../adapters/adapter.ts";
import type { LayerFactors } from "../adapters/factors.ts";
import { elementCount } from "../checkpoint/views.ts";
import type { GraphInput } from "../graph/graph.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";

const GATE = ":gate";

/** An adapter and how strongly it acts; negative weights push the other way. */
export interface WeightedAdapter {
  readonly adapter: Adapter;
  readonly weight: number;
}

/**
 * The low-rank branches of one network for all adapters of a batch: their matrices side by side along the rank, read once
 * and kept. What differs between pictures is the gate alone (see `models/layers.ts`).
 */
export class AdapterStack {
  /** Layer paths that have a branch: a network is compiled for each such set. */
  readonly layers: ReadonlySet<string>;
  readonly #network: string;
  readonly #adapters: readonly Adapter[];
  readonly #stacked = new Map<string, Promise<StackedLayer>>();

  /** @param network the part of an adapter that is for this network: "unet", "text_encoder", "text_encoder_2". */
  constructor(network: string, adapters: readonly Adapter[]) {
    this.#network = network;
    this.#adapters = adapters;
    const prefix = `${network}:`;
    const targets = adapters.flatMap((adapter) => [...adapter.layers.keys()]);
    this.layers = new Set(targets.filter((target) => target.startsWith(prefix)).map((target) => target.slice(prefix.length)));
  }

  /**
   * The branch inputs that a compiled network declares: `layer:down`, `layer:up` and `layer:gate` of every adapted layer.
   * @param rows the adapters of each row of the batch.
   */
  async inputs(declared: readonly GraphInput[], rows: readonly (readonly WeightedAdapter[])[]): Promise<Record<string, Tensor>> {
    const feeds: Record<string, Tensor> = {};
    for (const { name, shape } of declared) {
      if (!name.endsWith(GATE)) continue;
      const layer = name.slice(0, -GATE.length);
      const stacked = await this.#layer(layer);
      feeds[`${layer}:down`] = stacked.down;
      feeds[`${layer}:up`] = stacked.up;
      feeds[name] = gate(stacked, rows, shape);
    }
    return feeds;
  }

  #layer(layer: string): Promise<StackedLayer> {
    const known = this.#stacked.get(layer) ?? this.#stack(layer);
    this.#stacked.set(layer, known);
    return known;
  }

  async #stack(layer: string): Promise<StackedLayer> {
    const parts: StackedPart[] = [];
    let rank = 0;
    for (const adapter of this.#adapters) {
      const factors = await adapter.layers.get(`${this.#network}:${layer}`)?.factors();
      if (!factors) continue;
      parts.push({ adapter, start: rank, rank: factors.rank, factors });
      rank += factors.rank;
    }
    const first = parts[0];
    if (!first) throw new Error(`no adapter has ${layer}`);
    const { inShape, out } = first.factors;
    const inSize = elementCount(inShape);
    const down = new Float32Array(rank * inSize);
    const up = new Float32Array(out * rank);
    for (const { start, factors } of parts) {
      down.set(factors.down, start * inSize);
      for (let row = 0; row < out; row++)
        up.set(factors.up.subarray(row * factors.rank, (row + 1) * factors.rank), row * rank + start);
    }
    const convolution = inShape.length === 3;
    return {
      parts,
      rank,
      down: { ...floatTensor(down, [rank, ...inShape]), lasting: true },
      up: { ...floatTensor(up, convolution ? [out, rank, 1, 1] : [out, rank]), lasting: true },
    };
  }
}

interface StackedPart {
  readonly adapter: Adapter;
  readonly start: number;
  readonly rank: number;
  readonly factors: LayerFactors;
}

interface StackedLayer {
  readonly parts: readonly StackedPart[];
  readonly rank: number;
  readonly down: Tensor;
  readonly up: Tensor;
}

/** [rows, rank]: each row's weight of each adapter, in the shape that the branch declares (1 for every other axis). */
function gate(
  stacked: StackedLayer,
  rows: readonly (readonly WeightedAdapter[])[],
  declared: readonly (number | string)[],
): Tensor {
  const data = new Float32Array(rows.length * stacked.rank);
  for (const [row, adapters] of rows.entries()) {
    for (const { adapter, start, rank } of stacked.parts) {
      const weight = adapters.filter((used) => used.adapter === adapter).reduce((sum, used) => sum + used.weight, 0);
      data.fill(weight, row * stacked.rank + start, row * stacked.rank + start + rank);
    }
  }
  const shape = declared.map((size, axis) => (axis === 0 ? rows.length : size === 1 ? 1 : stacked.rank));
  return floatTensor(data, shape);
}

/** The name of the variant of a network that has branches at these layers; the plain network's own name where there are none. */
export function adapterKey(network: string, layers: ReadonlySet<string>): string {
  return layers.size === 0
    ? network
    : `${network} adapted ${createHash("sha256")
        .update([...layers].sort().join())
        .digest("hex")}`;
}
