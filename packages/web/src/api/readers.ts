import { asList, asRecord, isRecord, number, seedText, text, texts } from "./decode.ts";
import type {
  GenerationRequest,
  Job,
  JobPage,
  JobStatus,
  Model,
  ModelWords,
  Phase,
  Picture,
  Preview,
  Progress,
  Scheduler,
  System,
  Upload,
} from "./types.ts";

const STATUSES: readonly JobStatus[] = ["queued", "running", "completed", "failed", "cancelled"];
const PHASES: readonly Phase[] = ["loading", "encoding", "denoising", "decoding"];

/** SDXL's own side, for a model that does not name its size. */
const USUAL_SIDE = 1024;

export function readJob(value: unknown): Job {
  const job = asRecord(value);
  return {
    id: text(job.id) ?? "",
    status: STATUSES.find((status) => status === job.status) ?? "queued",
    createdAt: typeof job.created_at === "number" ? new Date(job.created_at).toISOString() : (text(job.created_at) ?? ""),
    request: readRequest(job.request),
    progress: isRecord(job.progress) ? readProgress(job.progress) : undefined,
    position: number(job.position),
    images: asList(job.images).map(readPicture),
    error: isRecord(job.error) ? (text(job.error.message) ?? text(job.error.code)) : undefined,
    warnings: texts(job.warnings),
    favorite: job.favorite === true,
    totalSeconds: number(asRecord(job.timings).total_seconds),
  };
}

export function readJobPage(value: unknown): JobPage {
  const page = asRecord(value);
  return { jobs: asList(page.jobs).map(readJob), next: text(page.next) };
}

function readRequest(value: unknown): GenerationRequest {
  const request = asRecord(value);
  const image = text(request.image);
  return {
    prompt: text(request.prompt) ?? "",
    negative_prompt: text(request.negative_prompt),
    model: text(request.model),
    width: number(request.width),
    height: number(request.height),
    steps: number(request.steps),
    guidance_scale: number(request.guidance_scale),
    scheduler: text(request.scheduler),
    seed: seedText(request.seed),
    n: number(request.n),
    // Only references can be used again; picture bytes are not kept with the job.
    image: image !== undefined && /^(upload|image):/.test(image) ? image : undefined,
    strength: number(request.strength),
  };
}

export function readProgress(value: unknown): Progress {
  const progress = asRecord(value);
  const step = number(progress.step) ?? 0;
  const totalSteps = number(progress.total_steps) ?? 0;
  return {
    step,
    totalSteps,
    percent: number(progress.percent) ?? (totalSteps > 0 ? (100 * step) / totalSteps : 0),
    etaSeconds: number(progress.eta_seconds),
    phase: PHASES.find((phase) => phase === progress.phase),
  };
}

export function readPreview(value: unknown): Preview | undefined {
  const preview = asRecord(value);
  const image = text(preview.image);
  // Only picture data: whatever else the text holds must not become an address that the browser fetches.
  if (image === undefined || !image.startsWith("data:image/")) return undefined;
  return { index: number(preview.index) ?? 0, image };
}

function readPicture(value: unknown): Picture {
  const picture = asRecord(value);
  const id = text(picture.id) ?? "";
  return {
    id,
    url: text(picture.url) ?? `/v1/images/${encodeURIComponent(id)}`,
    thumbnailUrl: text(picture.thumbnail_url) ?? `/v1/images/${encodeURIComponent(id)}/thumbnail`,
    width: number(picture.width) ?? USUAL_SIDE,
    height: number(picture.height) ?? USUAL_SIDE,
    seed: seedText(picture.seed),
    format: text(picture.format) ?? "png",
  };
}

export function readModels(value: unknown): Model[] {
  return asList(asRecord(value).data).map(readModel);
}

function readModel(value: unknown): Model {
  const model = asRecord(value);
  const defaults = asRecord(model.defaults);
  const size = asRecord(model.size);
  const id = text(model.id) ?? "";
  return {
    id,
    title: text(model.title) ?? id,
    description: text(model.description),
    kind: text(model.kind) ?? "checkpoint",
    loaded: model.loaded === true,
    isDefault: model.default === true,
    width: number(defaults.width) ?? number(size.width) ?? USUAL_SIDE,
    height: number(defaults.height) ?? number(size.height) ?? USUAL_SIDE,
    steps: number(defaults.steps),
    guidanceScale: number(defaults.guidance_scale),
    scheduler: text(defaults.scheduler),
    negativePrompt: text(defaults.negative_prompt),
    words: readWords(model.words),
  };
}

/** Groups of phrases; a group may itself be split by kind (`{ house: [...], boat: [...] }`), of which the first phrase of each speaks for the rest. */
function readWords(value: unknown): ModelWords {
  const groups = new Map<string, readonly string[]>();
  for (const [name, group] of Object.entries(asRecord(value))) {
    const phrases = isRecord(group) ? Object.values(group).flatMap((kind) => texts(kind).slice(0, 1)) : texts(group);
    if (phrases.length > 0) groups.set(name, phrases);
  }
  return groups;
}

export function readSchedulers(value: unknown): Scheduler[] {
  return asList(asRecord(value).data).flatMap((item) => {
    const scheduler = asRecord(item);
    const name = text(scheduler.name);
    return name === undefined ? [] : [{ name, label: text(scheduler.label) ?? name }];
  });
}

export function readUpload(value: unknown): Upload {
  const upload = asRecord(value);
  return {
    id: text(upload.id) ?? "",
    width: number(upload.width) ?? USUAL_SIDE,
    height: number(upload.height) ?? USUAL_SIDE,
    url: text(upload.url) ?? "",
    request: isRecord(upload.request) ? readRequest(upload.request) : undefined,
  };
}

export function readSystem(value: unknown): System {
  const system = asRecord(value);
  const queue = asRecord(system.queue);
  return {
    version: text(system.version) ?? "",
    backend: text(system.backend) ?? "",
    device: text(system.device) ?? "",
    precision: text(system.precision) ?? "",
    waiting: number(queue.waiting) ?? 0,
    running: number(queue.running) ?? 0,
  };
}
