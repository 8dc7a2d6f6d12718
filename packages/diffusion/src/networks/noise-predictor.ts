import type { UNetConfig } from "../checkpoint/model-configs.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { Scope } from "../models/scope.ts";
import { residualNames, unet } from "../models/unet.ts";
import { type AdapterStack, adapterKey, type WeightedAdapter } from "./adapter-stack.ts";
import type { ControlNetwork } from "./control-network.ts";
import { controlResiduals } from "./control-residuals.ts";
import { controlInputs, controlledKey, groupByControls, joinControls } from "./controlled-unet.ts";
import type { NetworkCache } from "./network-cache.ts";
import { residentBytesOf } from "./resident-bytes.ts";
import { conditioningInputs, type Row, splitRows, stackRows } from "./row.ts";

const NOTHING = floatTensor(new Float32Array(1), [1, 1, 1, 1]);

/** What all rows of a batch have in common. */
interface Shared {
  /** Of the latents. */
  readonly size: { readonly height: number; readonly width: number };
  /** The adapters of all rows, or undefined where no row has any. */
  readonly stack: AdapterStack | undefined;
}

/** The UNet of a checkpoint, ready to be asked for predictions. */
export class NoisePredictor {
  readonly config: UNetConfig;
  readonly #weights: Weights;
  readonly #cache: NetworkCache;
  readonly #key: string;
  #residentBytes: number | undefined;

  /** @param key a name for this checkpoint's UNet that nothing else in the cache has. */
  constructor(key: string, config: UNetConfig, weights: Weights, cache: NetworkCache) {
    this.#key = key;
    this.config = config;
    this.#weights = weights;
    this.#cache = cache;
  }

  /** Bytes of the machine's memory that the weights take while the network is compiled. */
  get residentBytes(): number {
    this.#residentBytes ??= residentBytesOf(this.#build(new Set()), this.#cache.backend);
    return this.#residentBytes;
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
   * Predictions for rows of one size and one number of tokens, with what their ControlNets add. All share one call, or, where
   * the backend joins ControlNets and the UNet in one network, those do on which the same ControlNets act.
   * @returns a prediction [channels, height, width] for each row.
   */
  async predict(rows: readonly Row[], size: Shared["size"], stack: AdapterStack | undefined): Promise<Float32Array[]> {
    const shared = { size, stack };
    if (this.#cache.backend.sharesWeights !== true) {
      const padded = this.#padded(rows);
      const answers = await this.#call([], padded, shared, await controlResiduals(padded, size));
      return answers.slice(0, rows.length);
    }
    const predictions: Float32Array[] = [];
    for (const group of groupByControls(rows)) {
      const padded = this.#padded(group.rows);
      const answers = await this.#call(group.networks, padded, shared, await controlInputs(group.networks, padded, size));
      for (const [i, answer] of answers.slice(0, group.rows.length).entries()) predictions[group.places[i] ?? 0] = answer;
    }
    return predictions;
  }

  /** As many rows as the backend wants: those that are added repeat the last one, and their answers are thrown away. */
  #padded(rows: readonly Row[]): readonly Row[] {
    const count = this.#cache.backend.paddedRows?.(rows.length) ?? rows.length;
    return [...rows, ...rows.slice(-1).flatMap((last) => new Array<Row>(count - rows.length).fill(last))];
  }

  /** @param networks ControlNets that are joined with the UNet. @param fromControls their inputs, or residuals. */
  async #call(
    networks: readonly ControlNetwork[],
    rows: readonly Row[],
    { size, stack }: Shared,
    fromControls: Readonly<Record<string, Tensor>>,
  ): Promise<Float32Array[]> {
    const layers = stack?.layers ?? new Set<string>();
    return this.#cache.use(
      controlledKey(adapterKey(this.#key, layers), networks),
      () => joinControls(this.#build(layers), networks),
      async (network) => {
        const sample = stackRows(
          rows.map((row) => row.sample),
          [this.config.inChannels, size.height, size.width],
        );
        const adapters = rows.map((row) => row.adapters);
        const { prediction } = await network.run({
          ...conditioningInputs(this.config, rows),
          sample,
          ...(networks.length === 0 ? this.#withoutResiduals() : {}),
          ...fromControls,
          ...(await stack?.inputs(network.inputs, adapters)),
        });
        if (!prediction) throw new Error("the UNet has no output");
        return splitRows(prediction.data, rows.length);
      },
    );
  }

  #withoutResiduals(): Record<string, Tensor> {
    return Object.fromEntries(residualNames(this.config).map((name) => [name, NOTHING]));
  }

  #build(adapted: ReadonlySet<string>): Graph {
    const graph = new GraphBuilder("UNet");
    const scope = Scope.root("UNet", graph, this.#weights, adapted);
    unet(scope, this.config);
    scope.finish();
    return graph.build();
  }
}
