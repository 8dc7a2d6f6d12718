import type { CompiledGraph } from "../backends/backend.ts";
import type { ControlNetConfig } from "../checkpoint/model-configs.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { controlHint, controlNet } from "../models/controlnet.ts";
import { Scope } from "../models/scope.ts";
import { residualNames } from "../models/unet.ts";
import type { NetworkCache } from "./network-cache.ts";
import { conditioningInputs, type Row, stackRows } from "./row.ts";

export type Falloff = "guess" | "soft";

/**
 * What is left of a residual, by its place among all of them. Guess mode: from a tenth at the first to the whole of the last. Soft: what the
 * ControlNet extension of AUTOMATIC1111 has for Stable Diffusion 1.5, whose last place is the twelfth, and takes for SDXL's ten too.
 */
const FALLOFF: Readonly<Record<Falloff, (place: number, last: number) => number>> = {
  guess: (place, last) => 10 ** (place / last - 1),
  soft: (place) => 0.825 ** (12 - place),
};

/** A ControlNet's part in one evaluation of one row. */
export interface RowControl {
  readonly network: ControlNetwork;
  /** [3, 8 height, 8 width] in 0..1. */
  readonly condition: Float32Array;
  /** Times every residual. */
  readonly scale: number;
  /** Outer residuals count less than inner ones: as in diffusers' guess mode, or softly as in AUTOMATIC1111's control modes. Left out: all alike. */
  readonly falloff?: Falloff | undefined;
}

/** A row, and one of the ControlNets that act on it. */
export interface ControlledRow {
  readonly row: Row;
  readonly control: RowControl;
}

interface LatentSize {
  readonly height: number;
  readonly width: number;
}

/** A ControlNet, ready to be asked for residuals or to be joined with a UNet. */
export class ControlNetwork {
  /** A name that nothing else in the cache has. */
  readonly key: string;
  readonly config: ControlNetConfig;
  readonly #weights: Weights;
  readonly #cache: NetworkCache;
  /** By the picture: [channels, height, width]. */
  readonly #hints = new WeakMap<Float32Array, Promise<Float32Array>>();
  /** The hints of the latest batch, by the first of them. */
  readonly #stacked = new WeakMap<Float32Array, { readonly hints: readonly Float32Array[]; readonly tensor: Tensor }>();

  constructor(key: string, config: ControlNetConfig, weights: Weights, cache: NetworkCache) {
    this.key = key;
    this.config = config;
    this.#weights = weights;
    this.#cache = cache;
  }

  /** Its outputs: the residuals, not yet scaled. */
  build(): Graph {
    return this.#build("ControlNet", controlNet);
  }

  async inputs(rows: readonly ControlledRow[], size: LatentSize): Promise<Record<string, Tensor>> {
    const { inChannels } = this.config;
    return {
      ...conditioningInputs(
        this.config,
        rows.map(({ row }) => row),
      ),
      // An inpainting network's sample goes on with the mask and the masked latents, which ControlNets do not see.
      sample: stackRows(
        rows.map(({ row }) => row.sample.subarray(0, inChannels * size.height * size.width)),
        [inChannels, size.height, size.width],
      ),
      hint: this.#stack(await Promise.all(rows.map(({ control }) => this.#hint(control.condition, size))), size),
    };
  }

  /** The residuals of some rows, by `residualNames`, not yet scaled. */
  async residuals(rows: readonly ControlledRow[], size: LatentSize): ReturnType<CompiledGraph["run"]> {
    const inputs = await this.inputs(rows, size);
    return await this.#cache.use(
      this.key,
      () => this.build(),
      (network) => network.run(inputs),
    );
  }

  /** What each residual is multiplied by, in the order of `residualNames`. */
  factors({ scale, falloff }: RowControl): number[] {
    const { length } = residualNames(this.config);
    return Array.from({ length }, (_, i) => scale * (falloff ? FALLOFF[falloff](i, length - 1) : 1));
  }

  /** Computed when a picture is first seen, and kept for as long as the picture is. */
  #hint(condition: Float32Array, size: LatentSize): Promise<Float32Array> {
    const known = this.#hints.get(condition) ?? this.#computeHint(condition, size);
    this.#hints.set(condition, known);
    known.catch(() => this.#hints.delete(condition));
    return known;
  }

  async #computeHint(condition: Float32Array, { height, width }: LatentSize): Promise<Float32Array> {
    const shape = [1, this.config.conditioningChannels, height * PIXELS_PER_LATENT, width * PIXELS_PER_LATENT];
    const { hint } = await this.#cache.use(
      `${this.key} hint`,
      () => this.#build("ControlNet hint", controlHint),
      (network) => network.run({ condition: floatTensor(condition, shape) }),
    );
    if (!hint) throw new Error("the hint has no output");
    return hint.data;
  }

  /** Of the same pictures the same array at every step, some 21 MB for each row: a device keeps what it has. */
  #stack(hints: readonly Float32Array[], { height, width }: LatentSize): Tensor {
    const [first = new Float32Array(0)] = hints;
    const known = this.#stacked.get(first);
    if (known?.hints.length === hints.length && known.hints.every((each, i) => each === hints[i])) return known.tensor;
    const tensor = { ...stackRows(hints, [this.config.blockOutChannels[0] ?? 0, height, width]), lasting: true };
    this.#stacked.set(first, { hints, tensor });
    return tensor;
  }

  #build(name: string, network: typeof controlNet): Graph {
    const graph = new GraphBuilder(name);
    const scope = Scope.root("ControlNet", graph, this.#weights);
    network(scope, this.config);
    scope.finish();
    return graph.build();
  }
}
