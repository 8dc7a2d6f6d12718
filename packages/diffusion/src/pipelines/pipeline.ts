import { DEFAULT_MAX_ROWS } from "../denoise/denoiser.ts";
import type { Slot } from "../denoise/slot.ts";
import { KilnError } from "../errors.ts";
import { type CompleteRequest, completeRequest } from "./complete-request.ts";
import { decodedPicture, decodeLatents } from "./decode-latents.ts";
import { DiffusionModel, type LoadOptions } from "./diffusion-model.ts";
import { type Extras, prepareSlot } from "./draw-pass.ts";
import { drawPasses, type ReadyPass } from "./draw-passes.ts";
import { ExtraFiles, NO_EXTRAS } from "./extra-files.ts";
import { GeneratedPicture } from "./generated-picture.ts";
import { type LoadedPictures, loadPictures, sizeOf } from "./given-pictures.ts";
import { hiresSize } from "./hires-size.ts";
import { prepareInpainting, putBack, type Surroundings } from "./inpainting.ts";
import { Kept } from "./kept.ts";
import { checkFits, estimateMemory } from "./memory-estimate.ts";
import { pictureMetadata } from "./metadata.ts";
import { type PassModels, type PlannedPass, planPasses } from "./passes.ts";
import { ProgressReporter } from "./progress.ts";
import { recipeFor } from "./recipes.ts";
import type { GenerateOptions, GenerateRequest } from "./request.ts";

/**
 * A checkpoint that draws. Many `generate` calls may run at once: pictures of one size share every call of the UNet.
 *
 * ```ts
 * const pipeline = await Pipeline.load("sdxl.safetensors");
 * const [picture] = await pipeline.generate({ prompt: "a red house under a full moon", seed: 1 });
 * await picture?.save("house.png");
 * ```
 */
export class Pipeline {
  readonly model: DiffusionModel;
  readonly #options: LoadOptions;
  /** Refiners, and checkpoints that draw the second pass of hires fix. */
  readonly #companions = new Kept<DiffusionModel>();
  readonly #openedCompanions: DiffusionModel[] = [];
  readonly #extraFiles: ExtraFiles;

  private constructor(model: DiffusionModel, options: LoadOptions) {
    this.model = model;
    this.#options = options;
    this.#extraFiles = new ExtraFiles(options.memoryLimit);
  }

  /**
   * Opens a checkpoint: a `.safetensors` file or a diffusers folder. Networks are compiled when they are first needed.
   * @throws KilnError file_*, checkpoint_*
   */
  static async load(path: string, options: LoadOptions = {}): Promise<Pipeline> {
    return new Pipeline(await DiffusionModel.load(path, options), options);
  }

  /**
   * Draws what the request asks for; the pictures come in the order of their seeds.
   * @throws KilnError invalid_request naming a field; picture_invalid; adapter_mismatch; out_of_memory; numeric; cancelled
   */
  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GeneratedPicture[]> {
    // Less urgent pictures hold their next step for it while it gets ready.
    const onReady = this.model.denoiser.expect(options.priority ?? 0);
    try {
      return await this.#generate(request, options, onReady);
    } finally {
      onReady();
    }
  }

  async #generate(request: GenerateRequest, options: GenerateOptions, onReady: () => void): Promise<GeneratedPicture[]> {
    // 1. Open what the request names, fill in what it leaves out, and plan the passes: the picture itself, hires fix, the refiner.
    const { complete, pictures, surroundings, passes } = await this.#plan(request);

    // 2. Draw every picture through all passes; the denoiser lets them share calls.
    return Promise.all(
      complete.seeds.map(async (seed, index) => {
        const progress = new ProgressReporter(index, passes, options);
        const { pass, latents } = await drawPasses(passes, seed, { pictures, progress, options, onReady });

        // 3. Decode, and put what was painted anew into the given picture.
        progress.decoding();
        const pixels = await decodeLatents(pass, latents);
        const drawn = decodedPicture(pixels, latents);
        return new GeneratedPicture({
          seed: seed.seed,
          picture: surroundings ? putBack(drawn, surroundings) : drawn,
          pixels,
          latents,
          metadata: pictureMetadata(complete, seed, drawn, this.model.checkpoint),
        });
      }),
    );
  }

  /**
   * The pictures of a request as slots that no step has been made of: for callers that submit them to `model.denoiser` themselves,
   * to park them and go on later (see `Slot.save`, `serializeSlotState`, `resumeSlot`). Decode with `model.autoencoder`.
   * With `inpaint` the slots are what is drawn, and the given picture around it is the caller's to put back.
   * @throws KilnError as `generate`; invalid_request also for a request with several passes (hires, refiner)
   */
  async prepare(request: GenerateRequest): Promise<Slot[]> {
    const { complete, pictures, passes } = await this.#plan(request);
    const [pass, second] = passes;
    if (!pass || second) {
      const message = "A request with hires or refiner has several passes and cannot be prepared as slots: use generate.";
      throw new KilnError("invalid_request", message, { subject: complete.hires ? "hires" : "refiner" });
    }
    return Promise.all(complete.seeds.map((seed) => prepareSlot({ ...pass, pictures }, seed)));
  }

  /** Bytes of the weights that are compiled now, of the checkpoint and of those that were used with it. */
  get bytes(): number {
    return this.#openedCompanions.reduce((sum, { cache }) => sum + cache.bytes, this.model.cache.bytes);
  }

  /**
   * What drawing a request will take of the memory, before anything is loaded for it: bytes of weights, as their files tell, and
   * bytes beside them at the peak (0 where the backend keeps them elsewhere than in the machine's memory).
   * @throws KilnError file_*, checkpoint_* where a refiner or another checkpoint that it names cannot be opened
   */
  async memoryFor(request: GenerateRequest): Promise<{ readonly weights: number; readonly working: number }> {
    const { size, guidanceScale: usual } = recipeFor(this.model.checkpoint, this.model.defaults);
    const { width = size.width, height = size.height, count = 1, guidanceScale = usual, hires } = request;
    const { refiner, second } = await this.#openCompanions(request);
    const models = [...new Set([this.model, refiner ?? this.model, second ?? this.model])];
    const drawn = hires ? hiresSize({ width, height }, hires).drawn : { width, height };
    const rows = this.#rows({ seeds: { length: count }, guidanceScale });
    const parts = models.map((model) => estimateMemory({ model, ...drawn, rows }));
    return {
      weights: models.reduce((sum, { checkpoint }) => sum + checkpoint.bytes, 0),
      working: Math.max(...parts.map((part) => (part ? Math.max(part.denoising, part.decodingTiled) : 0))),
    };
  }

  /** Frees everything that was compiled. Nothing may be drawing. */
  async dispose(): Promise<void> {
    await this.model.dispose();
    for (const companion of this.#openedCompanions) await companion.dispose();
  }

  async #plan(request: GenerateRequest): Promise<Planned> {
    const loras = await this.#extraFiles.distilled(request, this.model);
    const pictures = await loadPictures(request);
    const complete = completeRequest(request, { ...this.#about, loras }, sizeOf(pictures.image));
    const vae = complete.vae === undefined ? undefined : await this.model.autoencoderOf(complete.vae);
    const inpainting = await prepareInpainting(pictures, complete);
    const passes = planPasses({ base: this.model, ...(await this.#openCompanions(complete)) }, complete, vae);
    checkFits(
      passes.map((pass) => ({ ...pass.request, model: pass.model, rows: this.#rows(pass.request) })),
      this.model.memoryLimit,
    );
    const withExtras = passes.map(async (pass) => ({ ...pass, extras: await this.#extrasOf(pass) }));
    return { complete, ...inpainting, passes: await Promise.all(withExtras) };
  }

  /** Rows of the UNet that the request's own pictures take at once. */
  #rows({ seeds, guidanceScale }: { seeds: { readonly length: number }; guidanceScale: number }): number {
    const rows = seeds.length * (guidanceScale > 1 ? 2 : 1);
    return Math.min(rows, this.#options.maxRows ?? DEFAULT_MAX_ROWS);
  }

  get #about(): Pick<DiffusionModel, "checkpoint" | "defaults"> {
    return { checkpoint: this.model.checkpoint, defaults: this.model.defaults };
  }

  #extrasOf({ model, request, isRefiner }: PlannedPass): Promise<Extras> | Extras {
    return isRefiner ? NO_EXTRAS : this.#extraFiles.open(request, model);
  }

  async #openCompanions({ refiner, hires }: GenerateRequest): Promise<Pick<PassModels, "refiner" | "second">> {
    return {
      refiner: refiner && (await this.#companion(refiner.model)),
      second: hires?.model === undefined ? undefined : await this.#companion(hires.model),
    };
  }

  #companion(path: string): Promise<DiffusionModel> {
    // What belongs to the first checkpoint's own files is not for others.
    const { config: _config, vae: _vae, ...options } = this.#options;
    return this.#companions.get(path, async () => {
      const opened = await DiffusionModel.load(path, options);
      this.#openedCompanions.push(opened);
      return opened;
    });
  }
}

/** A request with everything that it names opened, and the passes that it comes to. */
interface Planned {
  readonly complete: CompleteRequest;
  readonly pictures: LoadedPictures;
  readonly surroundings: Surroundings | undefined;
  readonly passes: readonly ReadyPass[];
}
