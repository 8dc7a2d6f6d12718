import {
  type Backend,
  chooseBackend,
  DEVICES,
  encodeWebp,
  type GenerateProgress,
  type GenerateRequest,
  Pipeline,
  PRECISIONS,
  type SchedulerRequest,
} from "@kiln/diffusion";
import { codeOf } from "../errors.ts";
import { findScheduler } from "../models/schedulers.ts";
import type { Priority } from "../records/schema.ts";
import { memoryOfMachine } from "../settings/memory.ts";
import { EventQueue } from "./event-queue.ts";
import { KilnError } from "./kiln-error.ts";
import { ModelShelf, type Shelved } from "./model-shelf.ts";
import type { EngineEvent, EngineJob, EngineMemory, ModelFiles, PictureEngine } from "./picture-engine.ts";
import { type EngineOptions, FATAL_CODES } from "./protocol.ts";

/** Higher goes first in the denoiser, at its next step. */
const PRIORITY: Record<Priority, number> = { normal: 0, high: 1, urgent: 2 };
/** A preview of a picture costs a linear map and some kilobytes; more often than this nobody sees a difference. */
const PREVIEW_MILLISECONDS = 200;
const PREVIEW_QUALITY = 75;
/** Of the machine's memory, for weights: the rest is for activations, for the gateway and for the system. */
const WEIGHTS_PART = 0.8;
/** Of a device's own memory: beside the weights lie the activations of every size that is in use. */
const DEVICE_WEIGHTS_PART = 0.6;
/** The smallest picture that all families draw; one step of it compiles every network. */
const WARM_UP_SIDE = 64;

/**
 * Draws with @kiln/diffusion. Jobs of one checkpoint share its denoiser's calls.
 * @throws KilnError backend_unavailable, invalid_request for a backend, device or precision that this machine lacks
 */
export async function openDiffusionEngine(options: EngineOptions): Promise<PictureEngine> {
  const [device = "", number] = (options.backend ?? options.device).split(":");
  const { backend } = chooseBackend({
    device: oneOf(DEVICES, device),
    precision: oneOf(PRECISIONS, options.precision),
    ...(number === undefined ? {} : { deviceId: Number(number) }),
  });
  return new DiffusionEngine(backend, options);
}

function oneOf<const T extends string>(known: readonly T[], value: string): T {
  const found = known.find((each) => each === value);
  if (found === undefined)
    throw new KilnError("backend_unavailable", `"${value}" is not in this build; there are ${known.join(", ")}.`);
  return found;
}

class DiffusionEngine implements PictureEngine {
  readonly device: string;
  readonly backend: string;
  readonly precision: string;
  readonly #backend: Backend;
  readonly #shelf: ModelShelf<LoadedModel>;
  readonly #budget: number;
  readonly #limit: { memoryLimit?: number };
  readonly #maxRows: number;

  constructor(backend: Backend, { slots, memoryBudget }: EngineOptions) {
    this.#backend = backend;
    this.device = backend.device ?? "cpu";
    this.backend = backend.name;
    this.precision = backend.precision;
    // A picture with guidance takes two rows of a call.
    this.#maxRows = slots * 2;
    this.#budget = memoryBudget ?? budgetOf(backend);
    this.#limit = memoryBudget === undefined ? {} : { memoryLimit: memoryBudget };
    this.#shelf = new ModelShelf(this.#budget);
  }

  /** Opens the checkpoint and draws one step of a small picture with it, so that the first request finds it compiled. */
  async load(model: ModelFiles): Promise<void> {
    const request: GenerateRequest = { prompt: "", steps: 1, seed: 0n, width: WARM_UP_SIDE, height: WARM_UP_SIDE };
    await this.#use(model, { request }, async (pipeline) => {
      await pipeline.generate(request).catch((error: unknown) => {
        // A checkpoint that draws only with a mask or a picture is loaded all the same.
        if (codeOf(error) === undefined || FATAL_CODES.has(codeOf(error) ?? "")) throw error;
      });
    });
  }

  async unload(id: string): Promise<void> {
    await this.#shelf.unload(id);
  }

  loaded(): string[] {
    return this.#shelf.ids;
  }

  async *submit(job: EngineJob, signal: AbortSignal): AsyncIterable<EngineEvent> {
    yield { type: "progress", phase: "loading", step: 0, totalSteps: job.request.steps };
    const events = new EventQueue<EngineEvent>();
    const progress = new JobProgressReport(job, events);
    const options = {
      priority: PRIORITY[job.request.priority],
      signal,
      onProgress: (news: GenerateProgress) => progress.note(news),
    };
    const request = requestOf(job);
    const use = { request, parts: job.refiner?.id, priority: options.priority, signal };
    const work = this.#use(job.checkpoint, use, async (pipeline) => {
      const pictures = await pipeline.generate(request, options);
      for (const [index, { picture, seed }] of pictures.entries()) {
        events.push({
          type: "picture",
          picture: { index, seed: String(seed), width: picture.width, height: picture.height, pixels: picture.data },
        });
      }
    });
    yield* events.until(work);
  }

  async memory(): Promise<EngineMemory> {
    const { rss } = process.memoryUsage();
    const device = this.#backend.deviceMemory?.();
    return {
      process: rss,
      deviceUsed: device && device.total - device.free,
      deviceTotal: device?.total,
      models: this.#shelf.bytes,
      budget: Math.floor(this.#budget),
    };
  }

  async close(): Promise<void> {
    await this.#shelf.dispose();
  }

  async #use<R>(
    { id, path }: ModelFiles,
    { request, parts, priority, signal }: EngineUse,
    work: (pipeline: Pipeline) => Promise<R>,
  ): Promise<R> {
    const open = async () =>
      new LoadedModel(await Pipeline.load(path, { maxRows: this.#maxRows, backend: this.#backend, ...this.#limit }));
    return await this.#shelf.use(id, open, ({ pipeline }) => work(pipeline), {
      needs: async ({ pipeline }) => ({ ...(await pipeline.memoryFor(request)), parts }),
      ...defined({ priority, signal }),
    });
  }
}

/** What a request asks of a model, for the shelf to make room by. */
interface EngineUse {
  request: GenerateRequest;
  /** The refiner that it draws with. */
  parts?: string | undefined;
  priority?: number;
  signal?: AbortSignal;
}

/** Bytes for weights, where they lie. */
function budgetOf(backend: Backend): number {
  const device = backend.deviceMemory?.();
  return device ? device.total * DEVICE_WEIGHTS_PART : memoryOfMachine() * WEIGHTS_PART;
}

class LoadedModel implements Shelved {
  readonly pipeline: Pipeline;

  constructor(pipeline: Pipeline) {
    this.pipeline = pipeline;
  }

  get bytes(): number {
    return this.pipeline.bytes;
  }

  async dispose(): Promise<void> {
    await this.pipeline.dispose();
  }
}

/** Adds up the progress of a job's pictures, and makes previews now and then. */
class JobProgressReport {
  readonly #job: EngineJob;
  readonly #events: EventQueue<EngineEvent>;
  readonly #steps: number[] = [];
  /** When each picture was last shown: they step together, and all of them are looked at. */
  readonly #shownAt: number[] = [];

  constructor(job: EngineJob, events: EventQueue<EngineEvent>) {
    this.#job = job;
    this.#events = events;
  }

  note(news: GenerateProgress): void {
    const { n, preview } = this.#job.request;
    this.#steps[news.picture] = news.step;
    const step = this.#steps.reduce((sum, each) => sum + (each ?? 0), 0);
    this.#events.push({ type: "progress", phase: news.phase, step, totalSteps: news.totalSteps * n });
    const now = performance.now();
    if (!preview || news.phase !== "denoising" || now - (this.#shownAt[news.picture] ?? 0) < PREVIEW_MILLISECONDS) return;
    this.#shownAt[news.picture] = now;
    void this.#show(news).catch(() => {}); // a preview that fails is none
  }

  async #show(news: GenerateProgress): Promise<void> {
    const picture = await news.preview();
    if (picture) this.#events.push({ type: "preview", index: news.picture, webp: await encodeWebp(picture, PREVIEW_QUALITY) });
  }
}

/** The job in the library's words. */
function requestOf(job: EngineJob): GenerateRequest {
  const { request, pictures } = job;
  const { refiner, hires, variation } = request;
  return defined({
    prompt: request.prompt,
    prompt2: request.prompt_2,
    negativePrompt: request.negative_prompt,
    negativePrompt2: request.negative_prompt_2,
    promptSyntax: request.prompt_syntax,
    clipSkip: request.clip_skip,
    width: request.width,
    height: request.height,
    steps: request.steps,
    guidanceScale: request.guidance_scale,
    guidanceRescale: request.guidance_rescale,
    // The model's own scheduler may be more than a name: distilled ones bring timesteps and a configuration.
    scheduler: request.scheduler_from_model ? undefined : schedulerOf(job),
    eta: request.eta,
    timesteps: request.timesteps,
    seed: BigInt(request.seed),
    count: request.n,
    variation: variation && { seed: BigInt(variation.seed), strength: variation.strength },
    seedResizeFrom: request.seed_resize_from,
    noise: request.noise,
    image: pictures.image,
    strength: request.strength,
    mask: pictures.mask,
    controls: request.controls.map(({ scale, start, end }, index) => ({
      model: job.controlnets[index]?.path ?? "",
      image: pictures.controls[index] ?? new Uint8Array(),
      scale,
      start,
      end,
    })),
    loras: job.loras.map(({ path, weight, textEncoderWeight }) => defined({ file: path, weight, textEncoderWeight })),
    vae: job.vae?.path,
    embeddings: job.embeddings.map(({ path, token }) => defined({ file: path, token })),
    originalSize: request.original_size,
    cropTopLeft: request.crop,
    targetSize: request.target_size,
    aestheticScore: request.aesthetic_score,
    refiner:
      refiner && job.refiner
        ? defined({
            model: job.refiner.path,
            mode: refiner.mode,
            switchAt: refiner.switch_at,
            strength: refiner.strength,
            steps: refiner.steps,
          })
        : undefined,
    hires: hires
      ? defined({
          scale: hires.scale,
          upscaler: hires.upscaler === "latent" ? ("latent" as const) : ("lanczos" as const),
          strength: hires.strength,
          steps: hires.steps,
          by: hires.by,
        })
      : undefined,
  });
}

function schedulerOf({ request }: EngineJob): SchedulerRequest {
  const { scheduler, scheduler_config, a1111 } = request;
  if (a1111) {
    const { eta, s_churn, s_tmin, s_tmax, s_noise } = a1111.options ?? {};
    const options: Record<string, number> = defined({ eta, sChurn: s_churn, sTmin: s_tmin, sTmax: s_tmax, sNoise: s_noise });
    return { a1111: { ...defined({ sampler: a1111.sampler, schedule: a1111.schedule }), options } };
  }
  const name = findScheduler(scheduler)?.label ?? scheduler;
  return scheduler_config ? { name, config: scheduler_config } : name;
}

type Defined<T> = { [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key] } & {
  [Key in keyof T as undefined extends T[Key] ? Key : never]?: Exclude<T[Key], undefined>;
};

/** Without the fields that are undefined: to the library, left out and undefined are not the same. */
function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Defined<T>;
}
