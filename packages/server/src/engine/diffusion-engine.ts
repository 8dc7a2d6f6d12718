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
import { findScheduler } from "../models/schedulers.ts";
import type { Priority } from "../records/schema.ts";
import { EventQueue } from "./event-queue.ts";
import { KilnError } from "./kiln-error.ts";
import type { EngineEvent, EngineJob, EngineMemory, ModelFiles, PictureEngine } from "./picture-engine.ts";
import type { EngineOptions } from "./protocol.ts";

/** Higher goes first in the denoiser, at its next step. */
const PRIORITY: Record<Priority, number> = { normal: 0, high: 1, urgent: 2 };
/** A preview of a picture costs a linear map and some kilobytes; more often than this nobody sees a difference. */
const PREVIEW_MILLISECONDS = 200;
const PREVIEW_QUALITY = 75;
/** Checkpoints whose networks stay compiled at once; the least recently used goes first. */
const KEPT_PIPELINES = 2;

interface Loaded {
  model: ModelFiles;
  pipeline: Promise<Pipeline>;
  users: number;
  usedAt: number;
}

/**
 * Draws with @kiln/diffusion. Jobs of one checkpoint share its denoiser's calls.
 * @throws KilnError backend_unavailable, invalid_request for a backend, device or precision that this machine lacks
 */
export async function openDiffusionEngine(options: EngineOptions): Promise<PictureEngine> {
  const { backend } = chooseBackend({
    device: oneOf(DEVICES, options.backend ?? options.device),
    precision: oneOf(PRECISIONS, options.precision),
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
  // Both backends of this build run on the CPU.
  readonly device = "cpu";
  readonly backend: string;
  readonly precision: string;
  readonly #backend: Backend;
  readonly #loaded = new Map<string, Loaded>();
  readonly #maxRows: number;

  constructor(backend: Backend, { slots }: EngineOptions) {
    this.#backend = backend;
    this.backend = backend.name;
    this.precision = backend.precision;
    // A picture with guidance takes two rows of a call.
    this.#maxRows = slots * 2;
  }

  async load(model: ModelFiles): Promise<void> {
    await this.#open(model).pipeline;
  }

  async unload(id: string): Promise<void> {
    const entry = this.#loaded.get(id);
    if (!entry) return;
    if (entry.users > 0) throw new KilnError("backend_failed", `${id} is drawing; unload it later.`);
    this.#loaded.delete(id);
    await (await entry.pipeline).dispose();
  }

  loaded(): string[] {
    return [...this.#loaded.keys()];
  }

  async *submit(job: EngineJob, signal: AbortSignal): AsyncIterable<EngineEvent> {
    yield { type: "progress", phase: "loading", step: 0, totalSteps: job.request.steps };
    const entry = this.#open(job.checkpoint);
    entry.users++;
    try {
      const pipeline = await entry.pipeline;
      const events = new EventQueue<EngineEvent>();
      const progress = new JobProgressReport(job, events);
      const work = pipeline
        .generate(requestOf(job), { priority: PRIORITY[job.request.priority], signal, onProgress: (news) => progress.note(news) })
        .then((pictures) => {
          for (const [index, { picture, seed }] of pictures.entries()) {
            events.push({
              type: "picture",
              picture: { index, seed: String(seed), width: picture.width, height: picture.height, pixels: picture.data },
            });
          }
        });
      yield* events.until(work);
    } finally {
      entry.users--;
      entry.usedAt = performance.now();
      await this.#trim();
    }
  }

  async memory(): Promise<EngineMemory> {
    return { process: process.memoryUsage().rss, deviceUsed: undefined, deviceTotal: undefined };
  }

  async close(): Promise<void> {
    for (const { pipeline } of this.#loaded.values()) await (await pipeline).dispose().catch(() => {});
  }

  #open(model: ModelFiles): Loaded {
    const known = this.#loaded.get(model.id);
    if (known) return known;
    const entry: Loaded = {
      model,
      pipeline: Pipeline.load(model.path, { maxRows: this.#maxRows, backend: this.#backend }),
      users: 0,
      usedAt: performance.now(),
    };
    this.#loaded.set(model.id, entry);
    entry.pipeline.catch(() => this.#loaded.delete(model.id));
    return entry;
  }

  /** Drops the checkpoints that were used least recently and draw nothing. */
  async #trim(): Promise<void> {
    const idle = [...this.#loaded.values()].filter(({ users }) => users === 0).sort((a, b) => a.usedAt - b.usedAt);
    for (const { model } of idle.slice(0, Math.max(0, this.#loaded.size - KEPT_PIPELINES))) await this.unload(model.id);
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
  const { refiner, hires } = request;
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
