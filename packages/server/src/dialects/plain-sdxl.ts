import type { ModelInfo } from "../models/model.ts";

/**
 * Whether the contracts' own defaults of steps, guidance and scheduler are meant for a checkpoint: they are those of
 * SDXL as it was published. Distilled checkpoints, other families and small ones bring what suits them.
 */
export function isPlainSdxl({ family, variant, defaults }: ModelInfo): boolean {
  return family === "sdxl" && variant === "base" && defaults.width * defaults.height >= 1024 ** 2;
}
