import type { UNetConfig } from "../checkpoint/model-configs.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { Scope } from "../models/scope.ts";
import { sinusoids } from "../models/timestep-embedding.ts";
import { residualNames, unet } from "../models/unet.ts";
import { type AdapterStack, adapterKey, type WeightedAdapter } from "./adapter-stack.ts";
import type { NetworkCache } from "./network-cache.ts";

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
}

/** Residuals of ControlNets for a whole batch, by `residualNames`. */
export type Residuals = Readonly<Record<string, Tensor>>;

const NOTHING = floatTensor(new Float32Array(1), [1, 1, 1, 1]);

/** The UNet of a checkpoint, ready to be asked for predictions. */
export class NoisePredictor {
  readonly config: UNetConfig;
  readonly #weights: Weights;
  readonly #cache: NetworkCache;
  readonly #key: string;

  /** @param key a name for this checkpoint's UNet that nothing else in the cache has. */
  constructor(key: string, config: UNetConfig, weights: Weights, cache: NetworkCache) {
    this.#key = key;
    this.config = config;
    this.#weights = weights;
    this.#cache = cache;
  }

  /** Compiles the network now, so that the first picture does not wait for it. */
  async warmUp(): Promise<void> {
    await this.#cache.use(
      this.#key,
      () => this.#build(new Set()),
      async () => undefined,
    );
  }

  /** Begins to compile the network beside what the caller goes on to do, where memory allows. */
  prepare(adapters: readonly WeightedAdapter[]): void {
    if (adapters.length === 0) this.#cache.prepare(this.#key, () => this.#build(new Set()));
  }

  /**
   * One call of the network for rows of one size and one number of tokens.
   * @param stack the adapters of all rows, or undefined where no row has any.
   * @returns a prediction [channels, height, width] for each row.
   */
  async predict(
    rows: readonly Row[],
    size: { height: number; width: number },
    stack: AdapterStack | undefined,
    residuals: Residuals,
  ): Promise<Float32Array[]> {
    const layers = stack?.layers ?? new Set<string>();
    return this.#cache.use(
      adapterKey(this.#key, layers),
      () => this.#build(layers),
      async (network) => {
        const feeds: Record<string, Tensor> = {
          ...conditioningInputs(this.config, rows),
          sample: stackRows(
            rows.map((row) => row.sample),
            [this.config.inChannels, size.height, size.width],
          ),
        };
        for (const name of residualNames(this.config)) feeds[name] = residuals[name] ?? NOTHING;
        Object.assign(
          feeds,
          await stack?.inputs(
            network.inputs,
            rows.map((row) => row.adapters),
          ),
        );
        const { prediction } = await network.run(feeds);
        if (!prediction) throw new Error("the UNet has no output");
        return splitRows(prediction.data, rows.length);
      },
    );
  }

  #build(adapted: ReadonlySet<string>): Graph {
    const graph = new GraphBuilder("UNet");
    const scope = Scope.root("UNet", graph, this.#weights, adapted);
    unet(scope, this.config);
    scope.finish();
    return graph.build();
  }
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
