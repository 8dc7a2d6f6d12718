import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { residualNames } from "../models/unet.ts";
import type { ControlledRow, ControlNetwork } from "./control-network.ts";
import { type Row, splitRows } from "./row.ts";

/** Residuals of ControlNets for a whole batch, by `residualNames`. */
export type Residuals = Readonly<Record<string, Tensor>>;

/** A controlled row's place in the batch. */
interface Placed extends ControlledRow {
  readonly place: number;
}

/**
 * What ControlNets add to a batch of the UNet, where each is a network of its own. Each is asked once, for the rows that it
 * acts on alone; the others get zeros. Where none acts, there are no residuals.
 */
export async function controlResiduals(rows: readonly Row[], size: { height: number; width: number }): Promise<Residuals> {
  const asked = new Map<ControlNetwork, Placed[]>();
  for (const [place, row] of rows.entries()) {
    for (const control of row.controls) {
      const placed = asked.get(control.network) ?? [];
      placed.push({ row, control, place });
      asked.set(control.network, placed);
    }
  }
  const sums: Sums = {};
  for (const [network, placed] of asked) {
    const residuals = await network.residuals(placed, size);
    for (const [i, name] of residualNames(network.config).entries()) {
      const residual = residuals[name];
      if (!residual) throw new Error(`the ControlNet has no output ${name}`);
      const factors = placed.map(({ control }) => network.factors(control)[i] ?? 0);
      const [, ...shape] = residual.shape;
      sums[name] ??= floatTensor(new Float32Array((rows.length * residual.data.length) / placed.length), [rows.length, ...shape]);
      for (const [j, row] of splitRows(residual.data, placed.length).entries())
        addScaled(sums[name].data, (placed[j]?.place ?? 0) * row.length, row, factors[j] ?? 0);
    }
  }
  return sums;
}

type Sums = Record<string, Tensor & { data: Float32Array }>;

function addScaled(sum: Float32Array, at: number, values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) sum[at + i] = (sum[at + i] ?? 0) + factor * (values[i] ?? 0);
}
