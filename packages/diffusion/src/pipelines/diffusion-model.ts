import { availableParallelism } from "node:os";
import type { Backend } from "../backends/backend.ts";
import { onnxBackend } from "../backends/onnx/onnx-backend.ts";
import { type Checkpoint, openCheckpoint } from "../checkpoint/checkpoint.ts";
import { type CheckpointDefaults, readDefaults } from "../checkpoint/defaults.ts";
import { openControlNet, openVae } from "../checkpoint/opened-network.ts";
import { Denoiser, type DenoiserOptions } from "../denoise/denoiser.ts";
import { KilnError } from "../errors.ts";
import { Autoencoder } from "../networks/autoencoder.ts";
import { ControlNetwork } from "../networks/control-network.ts";
import { NetworkCache } from "../networks/network-cache.ts";
import { NoisePredictor } from "../networks/noise-predictor.ts";
import { TinyAutoencoder } from "../networks/tiny-autoencoder.ts";
import { Kept } from "./kept.ts";
import { PromptEncoder } from "./prompt-encoder.ts";

export interface LoadOptions extends DenoiserOptions {
  /** A diffusers folder whose configs are used: for single files that cannot tell their own. */
  readonly config?: string;
  /** A VAE in place of the checkpoint's own. */
  readonly vae?: string;
  /** A tiny autoencoder (TAESD) that makes the previews; without it they are a linear map of the latents. */
  readonly tinyVae?: string;
  readonly backend?: Backend;
  /** Memory for compiled networks, in bytes; the least recently used one goes when it is exceeded. Default: no limit. */
  readonly memoryBudget?: number;
  /**
   * Memory that the process may take in all, in bytes: a request that needs more is refused before it starts, and a picture that
   * does not decode whole within it is decoded in tiles. Default: what the machine or the container has; Infinity: no limit.
   */
  readonly memoryLimit?: number;
}

/** A checkpoint with its networks: what pipelines draw with. Networks are compiled when they are first needed. */
export class DiffusionModel {
  readonly checkpoint: Checkpoint;
  readonly defaults: CheckpointDefaults;
  readonly cache: NetworkCache;
  readonly predictor: NoisePredictor;
  readonly autoencoder: Autoencoder;
  /** What makes previews, where one was named. */
  readonly tinyAutoencoder: TinyAutoencoder | undefined;
  readonly prompts: PromptEncoder;
  readonly denoiser: Denoiser;
  /** See `LoadOptions`. */
  readonly memoryLimit: number | undefined;
  readonly #autoencoders = new Kept<Autoencoder>();
  readonly #controlNetworks = new Kept<ControlNetwork>();

  private constructor(
    checkpoint: Checkpoint,
    defaults: CheckpointDefaults,
    { cache, tinyAutoencoder }: { cache: NetworkCache; tinyAutoencoder: TinyAutoencoder | undefined },
    options: LoadOptions,
  ) {
    const { unet, vae } = checkpoint.weights;
    const [missing] = checkpoint.missing;
    if (missing !== undefined || !unet || !vae) {
      throw new KilnError(
        "checkpoint_incomplete",
        `${checkpoint.path} has no ${missing ?? "UNet"}: use a complete checkpoint${missing === "vae" ? ", or name a VAE file" : ""}.`,
        { subject: checkpoint.path },
      );
    }
    const key = checkpoint.path;
    this.checkpoint = checkpoint;
    this.defaults = defaults;
    this.cache = cache;
    this.predictor = new NoisePredictor(`${key} UNet`, checkpoint.configs.unet, unet, cache);
    this.autoencoder = new Autoencoder(`${key} VAE`, checkpoint.configs.vae, vae, cache);
    this.tinyAutoencoder = tinyAutoencoder;
    this.prompts = new PromptEncoder(key, checkpoint, cache);
    this.denoiser = new Denoiser(this.predictor, options);
    this.memoryLimit = options.memoryLimit;
  }

  /**
   * Opens a checkpoint: headers and configs are read, nothing is compiled yet.
   * @throws KilnError file_*, checkpoint_*
   */
  static async load(path: string, options: LoadOptions = {}): Promise<DiffusionModel> {
    const { config, vae, tinyVae, backend = onnxBackend({ threads: availableParallelism() }), memoryBudget } = options;
    const checkpoint = await openCheckpoint(path, { config, vae });
    const cache = new NetworkCache(backend, memoryBudget);
    const tinyAutoencoder = tinyVae === undefined ? undefined : await TinyAutoencoder.load(tinyVae, cache);
    return new DiffusionModel(checkpoint, await readDefaults(config ?? path), { cache, tinyAutoencoder }, options);
  }

  /**
   * A ControlNet by its path, opened once.
   * @throws KilnError file_*, checkpoint_unknown; adapter_mismatch where it is for UNets of another architecture
   */
  controlNetwork(path: string): Promise<ControlNetwork> {
    return this.#controlNetworks.get(path, () => this.#openControl(path));
  }

  /**
   * A VAE that stands in for the checkpoint's own, by its path; opened once. Latents keep the checkpoint's scale, which
   * is what its UNet has learnt.
   * @throws KilnError file_*, checkpoint_unknown; adapter_mismatch where it makes other latents than the checkpoint's
   */
  autoencoderOf(path: string): Promise<Autoencoder> {
    return this.#autoencoders.get(path, () => this.#openAutoencoder(path));
  }

  /** Frees the compiled networks. Nothing may be drawing. */
  async dispose(): Promise<void> {
    await this.cache.dispose();
  }

  async #openAutoencoder(path: string): Promise<Autoencoder> {
    const { family, configs } = this.checkpoint;
    const { config, weights } = await openVae(path, { family });
    const { latentChannels, scalingFactor, shiftFactor, latentsMean, latentsStd } = configs.vae;
    const isTwin =
      config.latentChannels === latentChannels && config.blockOutChannels.length === configs.vae.blockOutChannels.length;
    if (!isTwin) {
      const message = `The VAE ${path} makes other latents than ${this.checkpoint.path} draws: use one of its architecture.`;
      throw new KilnError("adapter_mismatch", message, { subject: path });
    }
    const scaled = { ...config, scalingFactor, shiftFactor, latentsMean, latentsStd };
    return new Autoencoder(`${path} VAE`, scaled, weights, this.cache);
  }

  async #openControl(path: string): Promise<ControlNetwork> {
    const { config, weights } = await openControlNet(path);
    const { unet } = this.checkpoint.configs;
    const fits =
      config.crossAttentionDim === unet.crossAttentionDim && config.blockOutChannels.join() === unet.blockOutChannels.join();
    if (!fits) {
      throw new KilnError(
        "adapter_mismatch",
        `The ControlNet ${path} is for another architecture than ${this.checkpoint.path}.`,
        { subject: path },
      );
    }
    return new ControlNetwork(`${path} ControlNet`, config, weights, this.cache);
  }
}
