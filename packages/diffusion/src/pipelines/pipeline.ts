import { DEFAULT_MAX_ROWS, type StepProgress } from "../denoise/denoiser.ts";
import type { Slot } from "../denoise/slot.ts";
import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { DEFAULT_TILING } from "../networks/tiling.ts";
import { resizeLanczos } from "../pictures/lanczos.ts";
import { tensorToPictures } from "../pictures/picture-tensor.ts";
import { resizeBilinear } from "../pictures/resize-latents.ts";
import { type CompleteRequest, completeRequest } from "./complete-request.ts";
import { DiffusionModel, type LoadOptions } from "./diffusion-model.ts";
import { drawPass, type Extras, prepareSlot } from "./draw-pass.ts";
import { ExtraFiles, NO_EXTRAS } from "./extra-files.ts";
import { GeneratedPicture } from "./generated-picture.ts";
import { type LoadedPictures, loadPictures, sizeOf } from "./given-pictures.ts";
import { prepareInpainting, putBack, type Surroundings } from "./inpainting.ts";
import { checkFits, decodeTiling, estimateMemory } from "./memory-estimate.ts";
import { pictureMetadata } from "./metadata.ts";
import { HIRES_SCALE, type PassModels, type PlannedPass, planPasses } from "./passes.ts";
import type { PictureSeed } from "./picture-seeds.ts";
import { ProgressReporter } from "./progress.ts";
import { recipeFor } from "./recipes.ts";
import type { GenerateOptions, GenerateRequest, LatentSource } from "./request.ts";

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
  readonly #companions = new Map<string, Promise<DiffusionModel>>();
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
    const { memoryLimit } = this.#options;

    // 2. Draw every picture through all passes; the denoiser lets them share calls.
    return Promise.all(
      complete.seeds.map(async (seed, index) => {
        const progress = new ProgressReporter(index, passes, options);
        const latents = await drawPasses(passes, seed, { pictures, progress, options, onReady, memoryLimit });

        // 3. Decode.
        progress.decoding();
        const last = passes.at(-1);
        if (!last) throw new Error("there was no pass");
        return finish(last, latents, { seed, request: complete, model: this.model, surroundings, memoryLimit });
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
    const { size } = recipeFor(this.model.checkpoint, this.model.defaults);
    const { width = size.width, height = size.height, count = 1, guidanceScale = 2, hires } = request;
    const { refiner, second } = await this.#openCompanions(request);
    const models = [...new Set([this.model, refiner ?? this.model, second ?? this.model])];
    const scale = hires ? (hires.scale ?? HIRES_SCALE) : 1;
    const rows = this.#rows({ seeds: { length: count }, guidanceScale });
    const parts = models.map((model) => estimateMemory({ model, width: width * scale, height: height * scale, rows }));
    return {
      weights: models.reduce((sum, { checkpoint }) => sum + checkpoint.bytes, 0),
      working: Math.max(...parts.map((part) => (part ? Math.max(part.denoising, part.decodingTiled) : 0))),
    };
  }

  /** Frees everything that was compiled. Nothing may be drawing. */
  async dispose(): Promise<void> {
    await this.model.dispose();
    for (const companion of this.#companions.values()) await (await companion).dispose();
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
      this.#options.memoryLimit,
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
    const { backend, memoryBudget, maxRows, policy, tinyVae } = this.#options;
    const options: LoadOptions = {
      ...(backend ? { backend } : {}),
      ...(tinyVae === undefined ? {} : { tinyVae }),
      ...(memoryBudget === undefined ? {} : { memoryBudget }),
      ...(maxRows === undefined ? {} : { maxRows }),
      ...(policy ? { policy } : {}),
    };
    const known = this.#companions.get(path) ?? DiffusionModel.load(path, options);
    if (!this.#companions.has(path))
      known.then((opened) => this.#openedCompanions.push(opened)).catch(() => this.#companions.delete(path));
    this.#companions.set(path, known);
    return known;
  }
}

/** A request with everything that it names opened, and the passes that it comes to. */
interface Planned {
  readonly complete: CompleteRequest;
  readonly pictures: LoadedPictures;
  readonly surroundings: Surroundings | undefined;
  readonly passes: readonly ReadyPass[];
}

type ReadyPass = PlannedPass & { readonly extras: Extras };

interface Drawing {
  readonly pictures: LoadedPictures;
  readonly progress: ProgressReporter;
  readonly options: GenerateOptions;
  readonly onReady: () => void;
  readonly memoryLimit: number | undefined;
}

/** One picture through all passes: the latents of each are what the next begins with. */
async function drawPasses(
  passes: readonly ReadyPass[],
  seed: PictureSeed,
  { pictures, progress, options, onReady, memoryLimit }: Drawing,
): Promise<LatentSource> {
  let made: LatentSource | undefined;
  let slot: Slot | undefined;
  let before: ReadyPass | undefined;
  for (const pass of passes) {
    const { width, height } = pass.request;
    const image = made && before ? await handOver(before, pass, made, memoryLimit) : pictures.image;
    const given = made ? { image, mask: undefined, controls: pictures.controls } : pictures;
    progress.begin(pass);
    const goesOn = pass.from === "run";
    const drawing = {
      priority: options.priority ?? 0,
      signal: options.signal,
      onStep: (step: StepProgress) => progress.step(step),
      onReady,
    };
    slot = await drawPass({ ...pass, pictures: given }, seed, drawing, goesOn ? slot : undefined);
    before = pass;
    made = { latents: slot.latents, width: width / PIXELS_PER_LATENT, height: height / PIXELS_PER_LATENT };
  }
  if (!made) throw new Error("there was no pass");
  return made;
}

/** What a pass begins with, from the latents of the one before. */
async function handOver(
  before: PlannedPass,
  { from, request: { width, height } }: PlannedPass,
  made: LatentSource,
  memoryLimit: number | undefined,
): Promise<LoadedPictures["image"]> {
  if (from === "enlarged latents") {
    const size = { width: width / PIXELS_PER_LATENT, height: height / PIXELS_PER_LATENT };
    return { latents: resizeBilinear(made, size), ...size };
  }
  if (from !== "enlarged pixels") return made;
  const pixels = await decode(before, made, memoryLimit);
  return resizeLanczos(toPicture(pixels, made), width, height);
}

/** Whole where memory allows it, else in tiles: those too where a device whose memory nobody can ask has refused the whole. */
async function decode(
  { model, autoencoder }: Pick<PlannedPass, "model" | "autoencoder">,
  { latents, height, width }: LatentSource,
  memoryLimit?: number,
): Promise<Float32Array> {
  const size = { width: width * PIXELS_PER_LATENT, height: height * PIXELS_PER_LATENT };
  const tiling = decodeTiling(model, size, memoryLimit);
  try {
    return await autoencoder.decode(latents, height, width, tiling);
  } catch (error) {
    const smallerHelps = tiling === undefined && Math.max(height, width) > DEFAULT_TILING.tile;
    if (!(error instanceof KilnError) || error.code !== "out_of_memory" || !smallerHelps) throw error;
    return await autoencoder.decode(latents, height, width, DEFAULT_TILING);
  }
}

function toPicture(pixels: Float32Array, { width, height }: LatentSource): GeneratedPicture["picture"] {
  const shape = [1, 3, height * PIXELS_PER_LATENT, width * PIXELS_PER_LATENT];
  const [picture] = tensorToPictures({ type: "float32", shape, data: pixels }, "minus-one-to-one");
  if (!picture) throw new Error("no picture was decoded");
  return picture;
}

async function finish(
  last: PlannedPass,
  latents: LatentSource,
  {
    seed,
    request,
    model,
    surroundings,
    memoryLimit,
  }: {
    seed: PictureSeed;
    request: CompleteRequest;
    model: DiffusionModel;
    surroundings: Surroundings | undefined;
    memoryLimit: number | undefined;
  },
): Promise<GeneratedPicture> {
  const pixels = await decode(last, latents, memoryLimit);
  const drawn = toPicture(pixels, latents);
  return new GeneratedPicture({
    seed: seed.seed,
    picture: surroundings ? putBack(drawn, surroundings) : drawn,
    pixels,
    latents,
    metadata: pictureMetadata(request, seed, drawn, model.checkpoint),
  });
}
