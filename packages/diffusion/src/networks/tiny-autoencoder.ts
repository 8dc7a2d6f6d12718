import type { Backend } from "../backends/backend.ts";
import type { TinyVaeConfig } from "../checkpoint/model-configs.ts";
import { openTinyVae } from "../checkpoint/opened-network.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { floatTensor } from "../graph/tensor.ts";
import { Scope } from "../models/scope.ts";
import { tinyVaeDecoder, tinyVaeEncoder } from "../models/tiny-vae.ts";
import { NetworkCache } from "./network-cache.ts";

/**
 * A tiny autoencoder (TAESD, as AutoencoderTiny in diffusers): a hundredth of the work of the full one, for previews.
 * It takes and gives latents as the UNet sees them; nothing is scaled.
 */
export class TinyAutoencoder {
  readonly config: TinyVaeConfig;
  readonly #weights: Weights;
  readonly #cache: NetworkCache;
  readonly #key: string;

  constructor(key: string, config: TinyVaeConfig, weights: Weights, cache: NetworkCache) {
    this.#key = key;
    this.config = config;
    this.#weights = weights;
    this.#cache = cache;
  }

  /**
   * Opens a folder or a file; the networks are compiled when they are first needed.
   * @param where a backend of its own, or the cache that it shares with a checkpoint's networks.
   * @throws KilnError file_*, checkpoint_unknown where there is none in it
   */
  static async load(path: string, where: Backend | NetworkCache): Promise<TinyAutoencoder> {
    const { config, weights } = await openTinyVae(path);
    const cache = where instanceof NetworkCache ? where : new NetworkCache(where);
    return new TinyAutoencoder(`${path} tiny VAE`, config, weights, cache);
  }

  /**
   * @param image [3, height, width] in -1..1, both multiples of 8.
   * @returns latents [4, height/8, width/8].
   * @throws KilnError checkpoint_incomplete where the file holds no encoder
   */
  async encode(image: Float32Array, height: number, width: number): Promise<Float32Array> {
    const { latent } = await this.#cache.use(
      `${this.#key} encoder`,
      () => this.#build("tiny VAE encoder", tinyVaeEncoder),
      (network) => network.run({ image: floatTensor(image, [1, this.config.inChannels, height, width]) }),
    );
    if (!latent) throw new Error("the tiny VAE encoder has no output");
    return latent.data;
  }

  /**
   * @param latents [4, height, width].
   * @returns [3, 8 height, 8 width], about -1..1, not clamped.
   * @throws KilnError checkpoint_incomplete where the file holds no decoder
   */
  async decode(latents: Float32Array, height: number, width: number): Promise<Float32Array> {
    const { image } = await this.#cache.use(
      `${this.#key} decoder`,
      () => this.#build("tiny VAE decoder", tinyVaeDecoder),
      (network) => network.run({ latent: floatTensor(latents, [1, this.config.latentChannels, height, width]) }),
    );
    if (!image) throw new Error("the tiny VAE decoder has no output");
    return image.data;
  }

  #build(name: string, network: typeof tinyVaeDecoder): Graph {
    const graph = new GraphBuilder(name);
    const scope = Scope.root(name, graph, this.#weights);
    network(scope, this.config);
    scope.finish();
    return graph.build();
  }
}
