import type { UNetConfig } from "../checkpoint/model-configs.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { sinusoids } from "../models/timestep-embedding.ts";
import type { WeightedAdapter } from "./adapter-stack.ts";
import type { RowControl } from "./control-network.ts";

/** What one row of a batch is told beside its sample. */
export interface RowConditioning {
  /** Text states, [tokens, width], row-major. */
  readonly text: Float32Array;
  /** SDXL: pooled text, then the sinusoids of the `time_ids`; undefined where the network has none. */
  readonly addition: Float32Array | undefined;
  /** Consistency-distilled networks: the guidance scale's embedding. */
  readonly guidance?: Float32Array;
}

/** One row of a batch: a sample at a timestep with its conditioning. */
export interface Row {
  /** [channels, height, width], as the scheduler scaled it, with mask and masked latents behind it for inpainting networks. */
  readonly sample: Float32Array;
  readonly timestep: number;
  readonly conditioning: RowConditioning;
  readonly adapters: readonly WeightedAdapter[];
  /** The ControlNets that act on this evaluation of this row. */
  readonly controls: readonly RowControl[];
}

/** The conditioning inputs that UNets and ControlNets share. */
export function conditioningInputs(
  config: Omit<UNetConfig, "upBlockTypes" | "outChannels">,
  rows: readonly Row[],
): Record<string, Tensor> {
  const width = config.blockOutChannels[0] ?? 0;
  const timesteps = rows.map((row) => row.timestep);
  const feeds: Record<string, Tensor> = {
    timestep_embedding: floatTensor(sinusoids(timesteps, width, config), [rows.length, width]),
    text: stackRows(
      rows.map((row) => row.conditioning.text),
      [-1, config.crossAttentionDim],
    ),
  };
  const { additionEmbedType, projectionClassEmbeddingsInputDim, timeCondProjDim } = config;
  if (additionEmbedType !== null) {
    const additions = rows.map((row) => row.conditioning.addition ?? new Float32Array(projectionClassEmbeddingsInputDim ?? 0));
    feeds.addition = stackRows(additions, [projectionClassEmbeddingsInputDim ?? 0]);
  }
  if (timeCondProjDim !== null) {
    feeds.guidance_embedding = stackRows(
      rows.map((row) => row.conditioning.guidance ?? new Float32Array(timeCondProjDim)),
      [timeCondProjDim],
    );
  }
  return feeds;
}

/** Equal-sized rows, one after the other: [rows, ...shape]; one size of the shape may be -1, to be told from the rows. */
export function stackRows(rows: readonly Float32Array[], shape: readonly number[]): Tensor & { data: Float32Array } {
  const size = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * size);
  for (const [i, row] of rows.entries()) data.set(row, i * size);
  const known = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
  return floatTensor(data, [rows.length, ...shape.map((n) => (n === -1 ? size / known : n))]);
}

/** The reverse of `stackRows`; the rows are copies. */
export function splitRows(data: Float32Array, rows: number): Float32Array[] {
  const size = data.length / rows;
  return Array.from({ length: rows }, (_, i) => data.slice(i * size, (i + 1) * size));
}
