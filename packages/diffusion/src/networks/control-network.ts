import type { ControlNetConfig } from "../checkpoint/model-configs.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { controlNet } from "../models/controlnet.ts";
import { Scope } from "../models/scope.ts";
import { residualNames } from "../models/unet.ts";
import type { NetworkCache } from "./network-cache.ts";
import { conditioningInputs, type Residuals, type Row, stackRows } from "./noise-predictor.ts";

/** A row that a ControlNet looks at. */
export interface ControlledRow {
  readonly row: Row;
  /** The row's place in the UNet's batch. */
  readonly place: number;
  /** [3, 8 height, 8 width] in 0..1. */
  readonly condition: Float32Array;
  /** Times every residual; zero rows are not asked at all. */
  readonly scale: number;
  /** Outer residuals count less than inner ones: from a tenth at the first to the whole in the middle. */
  readonly guess?: boolean;
}

/** A ControlNet, ready to be asked for residuals. */
export class ControlNetwork {
  readonly config: ControlNetConfig;
  readonly #weights: Weights;
  readonly #cache: NetworkCache;
  readonly #key: string;

  constructor(key: string, config: ControlNetConfig, weights: Weights, cache: NetworkCache) {
    this.#key = key;
    this.config = config;
    this.#weights = weights;
    this.#cache = cache;
  }

  /**
   * Adds this network's scaled residuals for some rows to those of a batch.
   * @param size  latent height and width.
   * @param batch rows in the UNet's batch; those not controlled get zeros.
   */
  async addResiduals(
    rows: readonly ControlledRow[],
    size: { height: number; width: number },
    batch: number,
    into: Residuals,
  ): Promise<Residuals> {
    const outputs = await this.#cache.use(
      this.#key,
      () => this.#build(),
      (network) =>
        network.run({
          ...conditioningInputs(
            this.config,
            rows.map(({ row }) => row),
          ),
          sample: stackRows(
            rows.map(({ row }) => row.sample.subarray(0, this.config.inChannels * size.height * size.width)),
            [this.config.inChannels, size.height, size.width],
          ),
          condition: stackRows(
            rows.map(({ condition }) => condition),
            [this.config.conditioningChannels, size.height * PIXELS_PER_LATENT, size.width * PIXELS_PER_LATENT],
          ),
        }),
    );
    const sums: Record<string, Tensor> = {};
    const names = residualNames(this.config);
    for (const [i, name] of names.entries()) {
      const residual = outputs[name];
      const guessed = 10 ** (i / (names.length - 1) - 1);
      const scaled = rows.map((row) => ({ place: row.place, scale: row.scale * (row.guess ? guessed : 1) }));
      if (residual) sums[name] = accumulate(residual, scaled, batch, into[name]);
    }
    return sums;
  }

  #build(): Graph {
    const graph = new GraphBuilder("ControlNet");
    const scope = Scope.root("ControlNet", graph, this.#weights);
    controlNet(scope, this.config);
    scope.finish();
    return graph.build();
  }
}

/** Pixels along one side of what a latent stands for. */
export const PIXELS_PER_LATENT = 8;

function accumulate(
  residual: Tensor & { data: Float32Array },
  rows: readonly Pick<ControlledRow, "place" | "scale">[],
  batch: number,
  before: Tensor | undefined,
): Tensor {
  const [, ...shape] = residual.shape;
  const size = residual.data.length / rows.length;
  const sum = before?.data instanceof Float32Array ? before.data : new Float32Array(batch * size);
  for (const [i, { place, scale }] of rows.entries()) {
    for (let j = 0; j < size; j++)
      sum[place * size + j] = (sum[place * size + j] ?? 0) + scale * (residual.data[i * size + j] ?? 0);
  }
  return floatTensor(sum, [batch, ...shape]);
}
