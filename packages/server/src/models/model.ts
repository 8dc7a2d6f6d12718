import type { EmbeddingSummary } from "@kiln/diffusion";

export const MODEL_KINDS = ["checkpoint", "controlnet", "lora", "vae", "embedding", "upscaler"] as const;
export type ModelKind = (typeof MODEL_KINDS)[number];
export type ModelFamily = "sdxl" | "sdxl-refiner" | "sd15";
/** How a checkpoint was distilled, which decides its steps, guidance and scheduler. */
export type ModelVariant = "base" | "lightning" | "hyper" | "turbo" | "lcm" | "tcd" | "dmd2" | "demo";

export interface ModelDefaults {
  steps: number;
  guidance_scale: number;
  scheduler: string;
  width: number;
  height: number;
  negative_prompt?: string;
  /** Fields of the scheduler's configuration that belong to a few-step LoRA's recipe. */
  scheduler_config?: Record<string, string | number | boolean>;
  /** The timesteps that a few-step model was trained on, where no spacing gives them. */
  timesteps?: number[];
  eta?: number;
}

/** What the catalogue knows of one model without loading it. */
export interface ModelInfo {
  /** Unique among all models; also the name that requests use. */
  id: string;
  kind: ModelKind;
  family: ModelFamily | null;
  variant: ModelVariant;
  path: string;
  bytes: number;
  /** Unix seconds of the file. */
  created: number;
  title: string;
  description?: string;
  size: { width: number; height: number };
  defaults: ModelDefaults;
  /** Its UNet takes the guidance scale as an embedding, so that 1 is not "none" to it. */
  embedsGuidance?: boolean;
  /** Those of the defaults that the operator's file has set. */
  operator?: Partial<ModelDefaults>;
  words?: Record<string, string[]>;
  /** Of a textual inversion: what calls it beside its name, its vectors, and their widths by text encoder. */
  embedding?: EmbeddingSummary;
}
