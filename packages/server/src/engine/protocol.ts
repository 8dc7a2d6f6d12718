import type { GraphicsCard } from "@kiln/diffusion";
import type { EngineJob, EngineMemory, EnginePhase, ModelFiles } from "./picture-engine.ts";

/** What the engine process is told at its start. */
export interface EngineOptions {
  implementation: "diffusion" | "test";
  device: string;
  backend: string | undefined;
  precision: string;
  slots: number;
  /** Bytes that the engine may take; undefined: a part of what the machine has. */
  memoryBudget?: number | undefined;
  stepMilliseconds: number;
  /** Where traces go; undefined: nowhere. */
  tracesTo?: string | undefined;
}

export interface EngineAbout {
  device: string;
  backend: string;
  precision: string;
  /** The graphics card, as far as it is known. */
  card?: GraphicsCard | undefined;
}

/** A picture as it is stored: encoded, with its thumbnail. */
export interface EncodedPicture {
  index: number;
  seed: string;
  width: number;
  height: number;
  format: "png" | "jpeg" | "webp";
  bytes: Uint8Array;
  thumbnail: Uint8Array;
}

/** Server to engine. */
export type ToEngine =
  | { type: "start"; options: EngineOptions }
  | { type: "submit"; job: EngineJob }
  | { type: "cancel"; job: string }
  | { type: "load"; call: number; model: ModelFiles }
  | { type: "unload"; call: number; id: string }
  | { type: "memory"; call: number }
  | { type: "stop" };

/** Engine to server. */
export type FromEngine =
  | { type: "ready"; about: EngineAbout }
  | { type: "refused"; error: EngineFailure }
  | { type: "beat"; memory: EngineMemory; loaded: string[] }
  /** What an operator wants to read in the log: work that takes long and is done once. */
  | { type: "notice"; message: string }
  | { type: "progress"; job: string; phase: EnginePhase; step: number; totalSteps: number }
  | { type: "preview"; job: string; index: number; webp: Uint8Array }
  | { type: "warning"; job: string; message: string }
  | { type: "picture"; job: string; picture: EncodedPicture }
  | { type: "finished"; job: string }
  | { type: "failed"; job: string; error: EngineFailure }
  | { type: "answer"; call: number; value: unknown }
  | { type: "error"; call: number; error: EngineFailure };

export interface EngineFailure {
  code: string;
  message: string;
}

/** Codes after which the engine's process is replaced: what it holds is not to be trusted. */
export const FATAL_CODES: ReadonlySet<string> = new Set(["out_of_memory", "backend_failed"]);
