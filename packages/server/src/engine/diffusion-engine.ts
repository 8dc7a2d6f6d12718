import { KilnError } from "./kiln-error.ts";
import type { PictureEngine } from "./picture-engine.ts";
import type { EngineOptions } from "./protocol.ts";

/** The engine that draws with @kiln/diffusion. */
export async function openDiffusionEngine(_options: EngineOptions): Promise<PictureEngine> {
  throw new KilnError("not_built", "The diffusion engine is not wired yet; set KILN_ENGINE=test.");
}
