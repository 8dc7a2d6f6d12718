import type { VaeConfig } from "../checkpoint/model-configs.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { Scope } from "../models/scope.ts";
import { vaeDecoder, vaeEncoder } from "../models/vae.ts";
import type { NetworkCache } from "./network-cache.ts";
import { decodeTiled, type TilingOptions } from "./tiling.ts";

/** Log variances outside are cut off, as in the reference's DiagonalGaussianDistribution. */
const LOG_VARIANCE_RANGE = [-30, 20] as const;

/** The mean and the logarithm of the variance of a picture's latents, [4, H/8, W/8] each, unscaled. */
export interface LatentDistribution {
  readonly mean: Float32Array;
  readonly logVariance: Float32Array;
}

/** The autoencoder of a checkpoint. Latents outside are scaled as the UNet sees them. */
export class Autoencoder {
  readonly config: VaeConfig;
  readonly #weights: Weights;
  readonly #cache: NetworkCache;
  readonly #key: string;

  constructor(key: string, config: VaeConfig, weights: Weights, cache: NetworkCache) {
    this.#key = key;
    this.config = config;
    this.#weights = weights;
    this.#cache = cache;
  }

  /**
   * The distribution of one picture's latents.
   * @param image [3, height, width] in -1..1, both multiples of 8.
   */
  async encode(image: Float32Array, height: number, width: number): Promise<LatentDistribution> {
    const { moments } = await this.#cache.use(
      `${this.#key} encoder`,
      () => this.#build("VAE encoder", vaeEncoder),
      (network) => network.run({ image: floatTensor(image, [1, this.config.inChannels, height, width]) }),
    );
    if (!moments) throw new Error("the VAE encoder has no output");
    const half = moments.data.length / 2;
    const [low, high] = LOG_VARIANCE_RANGE;
    return {
      mean: moments.data.slice(0, half),
      logVariance: moments.data.slice(half).map((value) => Math.min(Math.max(value, low), high)),
    };
  }

  /** A sample of the distribution, scaled: (mean + sqrt(variance) x noise) as the UNet sees latents. */
  sample({ mean, logVariance }: LatentDistribution, noise: Float32Array): Float32Array {
    return this.scale(mean.map((value, i) => value + Math.exp(0.5 * (logVariance[i] ?? 0)) * (noise[i] ?? 0)));
  }

  /**
   * One picture from scaled latents.
   * @param latents [4, height, width].
   * @param tiling  in tiles, where the whole would not fit; undefined: whole.
   * @returns [3, 8 height, 8 width], about -1..1, not clamped.
   */
  async decode(latents: Float32Array, height: number, width: number, tiling?: TilingOptions): Promise<Float32Array> {
    const whole = { data: this.unscale(latents), height, width };
    const decodeOne = async (data: Float32Array, h: number, w: number): Promise<Float32Array> => {
      const { image } = await this.#cache.use(
        `${this.#key} decoder`,
        () => this.#build("VAE decoder", vaeDecoder),
        (network): Promise<Readonly<Record<string, Tensor & { data: Float32Array }>>> =>
          network.run({ latent: floatTensor(data, [1, this.config.latentChannels, h, w]) }),
      );
      if (!image) throw new Error("the VAE decoder has no output");
      return image.data;
    };
    return tiling ? decodeTiled(whole, this.config.latentChannels, tiling, decodeOne) : decodeOne(whole.data, height, width);
  }

  /** From the autoencoder's own range to the UNet's. */
  scale(latents: Float32Array): Float32Array {
    const { scalingFactor, shiftFactor } = this.config;
    return this.#perChannel(latents, (value, mean, std) => ((value - mean - (shiftFactor ?? 0)) * scalingFactor) / std);
  }

  /** From the UNet's range to the autoencoder's own. */
  unscale(latents: Float32Array): Float32Array {
    const { scalingFactor, shiftFactor } = this.config;
    return this.#perChannel(latents, (value, mean, std) => (value * std) / scalingFactor + mean + (shiftFactor ?? 0));
  }

  #perChannel(latents: Float32Array, map: (value: number, mean: number, std: number) => number): Float32Array {
    const { latentChannels, latentsMean, latentsStd } = this.config;
    const size = latents.length / latentChannels;
    return latents.map((value, i) => {
      const channel = Math.floor(i / size);
      return map(value, latentsMean?.[channel] ?? 0, latentsStd?.[channel] ?? 1);
    });
  }

  #build(name: string, network: typeof vaeDecoder): Graph {
    const graph = new GraphBuilder(name, { needsFloat32Range: this.config.forceUpcast });
    const scope = Scope.root(name, graph, this.#weights);
    network(scope, this.config);
    scope.finish();
    return graph.build();
  }
}
