import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { residualNames } from "../models/unet.ts";
import type { ControlledRow, ControlNetwork } from "./control-network.ts";
import type { Row } from "./row.ts";

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
  const sums: Record<string, Tensor & { data: Float32Array }> = {};
  for (const [network, placed] of asked) {
    const residuals = await network.residuals(placed, size);
    const factors = placed.map(({ control }) => network.factors(control));
    for (const [i, name] of residualNames(network.config).entries()) {
      const residual = residuals[name];
      if (!residual) throw new Error(`the ControlNet has no output ${name}`);
      const [count = 1, ...shape] = residual.shape;
      const length = residual.data.length / count;
      const sum = sums[name] ?? floatTensor(new Float32Array(rows.length * length), [rows.length, ...shape]);
      sums[name] = sum;
      for (const [j, { place }] of placed.entries()) {
        const into = sum.data.subarray(place * length, (place + 1) * length);
        addScaled(into, residual.data.subarray(j * length, (j + 1) * length), factors[j]?.[i] ?? 0);
      }
    }
  }
  return sums;
}

function addScaled(into: Float32Array, values: Float32Array, factor: number): void {
  for (let i = 0; i < into.length; i++) into[i] = (into[i] ?? 0) + factor * (values[i] ?? 0);
}
