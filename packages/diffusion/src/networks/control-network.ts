import type { ControlNetConfig } from "../checkpoint/model-configs.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import type { Tensor } from "../graph/tensor.ts";
import { controlNet } from "../models/controlnet.ts";
import { Scope } from "../models/scope.ts";
import { residualNames } from "../models/unet.ts";
import { conditioningInputs, type Row, stackRows } from "./row.ts";

/** A ControlNet's part in one evaluation of one row. */
export interface RowControl {
  readonly network: ControlNetwork;
  /** [3, 8 height, 8 width] in 0..1. */
  readonly condition: Float32Array;
  /** Times every residual. */
  readonly scale: number;
  /** Outer residuals count less than inner ones: from a tenth at the first to the whole in the middle. */
  readonly guess?: boolean;
}

/** A row, and one of the ControlNets that act on it. */
export interface ControlledRow {
  readonly row: Row;
  readonly control: RowControl;
}

/** A ControlNet: its graph, and what it wants to be fed. */
export class ControlNetwork {
  /** A name that nothing else in a cache has. */
  readonly key: string;
  readonly config: ControlNetConfig;
  readonly #weights: Weights;
  /** The conditions of the latest batch, by the first of them. */
  readonly #stacked = new WeakMap<Float32Array, { readonly conditions: readonly Float32Array[]; readonly tensor: Tensor }>();

  constructor(key: string, config: ControlNetConfig, weights: Weights) {
    this.key = key;
    this.config = config;
    this.#weights = weights;
  }

  /** Its outputs: the residuals, not yet scaled. */
  build(): Graph {
    const graph = new GraphBuilder("ControlNet");
    const scope = Scope.root("ControlNet", graph, this.#weights);
    controlNet(scope, this.config);
    scope.finish();
    return graph.build();
  }

  /** @param size latent height and width. */
  inputs(rows: readonly ControlledRow[], size: { height: number; width: number }): Record<string, Tensor> {
    const { inChannels, conditioningChannels } = this.config;
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
      condition: this.#condition(
        rows.map(({ control }) => control.condition),
        [conditioningChannels, size.height * PIXELS_PER_LATENT, size.width * PIXELS_PER_LATENT],
      ),
    };
  }

  /** The same at every step of the same pictures, some 12 MB for each row: a device keeps what it has. */
  #condition(conditions: readonly Float32Array[], shape: readonly number[]): Tensor {
    const [first = new Float32Array(0)] = conditions;
    const known = this.#stacked.get(first);
    if (known?.conditions.length === conditions.length && known.conditions.every((each, i) => each === conditions[i]))
      return known.tensor;
    const tensor = { ...stackRows(conditions, shape), lasting: true };
    this.#stacked.set(first, { conditions, tensor });
    return tensor;
  }

  /** What each residual is multiplied by, in the order of `residualNames`; guess mode's steps as diffusers has them. */
  factors({ scale, guess = false }: RowControl): number[] {
    const { length } = residualNames(this.config);
    return Array.from({ length }, (_, i) => scale * (guess ? 10 ** (i / (length - 1) - 1) : 1));
  }
}

/** Pixels along one side of what a latent stands for. */
export const PIXELS_PER_LATENT = 8;
