import {
  type Backend,
  chooseBackend,
  DEVICES,
  encodeWebp,
  type GenerateProgress,
  type GenerateRequest,
  type GraphicsCard,
  Pipeline,
  PRECISIONS,
} from "@kiln/diffusion";
import { codeOf } from "../errors.ts";
import type { Priority } from "../records/schema.ts";
import { memoryOfMachine } from "../settings/memory.ts";
import { defined } from "./defined.ts";
import { EventQueue } from "./event-queue.ts";
import { generateRequestOf } from "./generate-request.ts";
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
 * @param onNotice is told of work that takes long and is done once.
 * @throws KilnError backend_unavailable, invalid_request for a backend, device or precision that this machine lacks
 */
export async function openDiffusionEngine(
  options: EngineOptions,
  onNotice: (sentence: string) => void = () => {},
): Promise<PictureEngine> {
  const [device = "", number] = (options.backend ?? options.device).split(":");
  const { backend } = chooseBackend({
    device: oneOf(DEVICES, device),
    precision: oneOf(PRECISIONS, options.precision),
    onNotice,
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
  readonly card: GraphicsCard | undefined;
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
    this.card = backend.card;
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
    const request = generateRequestOf(job);
    const use = { request, parts: partsOf(job), priority: options.priority, signal };
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
  /** The other checkpoints that it draws with. */
  parts?: string | undefined;
  priority?: number;
  signal?: AbortSignal;
}

function partsOf({ refiner, second }: EngineJob): string | undefined {
  const ids = [refiner?.id, second?.id].filter((id) => id !== undefined);
  return ids.length > 0 ? ids.join("\n") : undefined;
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
