/** The native API's objects, in the service's own field names, as far as the page uses them. */

export type JobStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

export type Phase = "loading" | "encoding" | "denoising" | "decoding";

export interface GenerationRequest {
  readonly prompt: string;
  readonly negative_prompt?: string;
  readonly model?: string;
  readonly width?: number;
  readonly height?: number;
  readonly steps?: number;
  readonly guidance_scale?: number;
  readonly scheduler?: string;
  /** Decimal text, up to 2^64 - 1. Left out: the service draws one. */
  readonly seed?: string;
  readonly n?: number;
  /** `upload:ID` or `image:ID`. */
  readonly image?: string;
  readonly strength?: number;
}

export interface Progress {
  readonly step: number;
  readonly totalSteps: number;
  readonly percent: number;
  readonly etaSeconds: number | undefined;
  readonly phase: Phase | undefined;
}

export interface Picture {
  readonly id: string;
  readonly url: string;
  readonly thumbnailUrl: string;
  readonly width: number;
  readonly height: number;
  readonly seed: string | undefined;
  readonly format: string;
}

export interface Job {
  readonly id: string;
  readonly status: JobStatus;
  readonly createdAt: string;
  readonly request: GenerationRequest;
  readonly progress: Progress | undefined;
  readonly position: number | undefined;
  readonly images: readonly Picture[];
  readonly error: string | undefined;
  /** What the service did otherwise than asked, in sentences. */
  readonly warnings: readonly string[];
  readonly favorite: boolean;
  readonly totalSeconds: number | undefined;
}

export interface JobPage {
  readonly jobs: readonly Job[];
  readonly next: string | undefined;
}

/** Words that a model knows, by their kind: "subjects", "places", ... A phrase may hold `{c}`, the place of a colour. */
export type ModelWords = ReadonlyMap<string, readonly string[]>;

export interface Model {
  readonly id: string;
  readonly title: string;
  readonly description: string | undefined;
  readonly kind: string;
  readonly loaded: boolean;
  readonly isDefault: boolean;
  readonly width: number;
  readonly height: number;
  readonly steps: number | undefined;
  readonly guidanceScale: number | undefined;
  readonly scheduler: string | undefined;
  readonly negativePrompt: string | undefined;
  readonly words: ModelWords;
}

export interface Scheduler {
  readonly name: string;
  readonly label: string;
}

export interface Upload {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  readonly url: string;
  /** What made the picture, where its file says so. */
  readonly request: GenerationRequest | undefined;
}

export interface System {
  readonly version: string;
  readonly backend: string;
  readonly device: string;
  readonly precision: string;
  readonly waiting: number;
  readonly running: number;
}

export interface Preview {
  readonly index: number;
  /** A data: URL of a small picture. */
  readonly image: string;
}

export function isFinished(job: Job): boolean {
  return job.status === "completed" || job.status === "failed" || job.status === "cancelled";
}
