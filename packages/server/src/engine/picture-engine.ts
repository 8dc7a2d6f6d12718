import type { GraphicsCard } from "@kiln/diffusion";
import type { CompleteRequest } from "../jobs/request.ts";

/** Where a model's files are, found by the catalogue. The engine opens nothing else. */
export interface ModelFiles {
  id: string;
  /** A .safetensors file or a diffusers folder. */
  path: string;
}

export type LoraFiles = ModelFiles & { weight: number; textEncoderWeight?: number };

/** One job as the engine sees it: the complete request, the files it names, and its pictures as encoded bytes. */
export interface EngineJob {
  id: string;
  /** The trace that the job belongs to, as W3C Trace Context. */
  traceparent?: string | undefined;
  request: CompleteRequest;
  checkpoint: ModelFiles;
  vae: ModelFiles | undefined;
  embeddings: (ModelFiles & { token?: string })[];
  refiner: ModelFiles | undefined;
  /** The checkpoint and the LoRAs of the second pass, where they are its own. */
  second: ModelFiles | undefined;
  secondLoras: LoraFiles[] | undefined;
  controlnets: ModelFiles[];
  loras: LoraFiles[];
  pictures: { image: Uint8Array | undefined; mask: Uint8Array | undefined; controls: Uint8Array[] };
}

/** A job whose request names no files but its checkpoint, and no pictures. */
export function plainJob({ id, request, checkpoint }: Pick<EngineJob, "id" | "request" | "checkpoint">): EngineJob {
  return {
    id,
    request,
    checkpoint,
    vae: undefined,
    embeddings: [],
    refiner: undefined,
    second: undefined,
    secondLoras: undefined,
    controlnets: [],
    loras: [],
    pictures: { image: undefined, mask: undefined, controls: [] },
  };
}

export type EnginePhase = "loading" | "encoding" | "denoising" | "decoding";

/** A picture as it is drawn: RGB, row by row. */
export interface DrawnPicture {
  index: number;
  seed: string;
  width: number;
  height: number;
  pixels: Uint8Array;
}

export type EngineEvent =
  | { type: "progress"; phase: EnginePhase; step: number; totalSteps: number }
  | { type: "preview"; index: number; webp: Uint8Array }
  | { type: "picture"; picture: DrawnPicture }
  | { type: "warning"; message: string };

export interface EngineMemory {
  /** Bytes of the engine's process and, where it has one, its device. */
  process: number;
  deviceUsed: number | undefined;
  deviceTotal: number | undefined;
  /** Bytes of weights by model, and how many there may be before one goes. */
  models?: Record<string, number>;
  budget?: number;
}

/**
 * What draws. Several jobs may be submitted at once; an engine that batches lets them share its calls. Errors are
 * KilnError: `out_of_memory` and `backend_failed` mean that the process is not to be trusted any more.
 */
export interface PictureEngine {
  device: string;
  backend: string;
  precision: string;
  /** The graphics card, as far as it is known. */
  card?: GraphicsCard | undefined;
  load(model: ModelFiles): Promise<void>;
  unload(id: string): Promise<void>;
  loaded(): string[];
  submit(job: EngineJob, signal: AbortSignal): AsyncIterable<EngineEvent>;
  memory(): Promise<EngineMemory>;
  close(): Promise<void>;
}
