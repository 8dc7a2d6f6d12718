import type { LayerFactors } from "../adapters/factors.ts";
import { multiply } from "../adapters/matrix.ts";

/** What factors add to a weight, in the order of the weight's shape. */
export function denseDelta({ rank, out, down, up }: LayerFactors): Float32Array {
  return multiply({ rows: out, columns: rank, data: up }, { rows: rank, columns: down.length / rank, data: down }).data;
}
