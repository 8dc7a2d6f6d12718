import type { StepProgress } from "../denoise/denoiser.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import type { Picture } from "../pictures/picture.ts";
import { previewPicture } from "../pictures/preview.ts";
import { decodedPicture } from "./decode-latents.ts";
import type { DiffusionModel } from "./diffusion-model.ts";
import type { PlannedPass } from "./passes.ts";
import type { GenerateOptions, GenerateProgress } from "./request.ts";

/** Tells the caller of one picture how far it is, over all its passes. */
export class ProgressReporter {
  readonly #picture: number;
  readonly #totalSteps: number;
  readonly #report: ((progress: GenerateProgress) => void) | undefined;
  #pass: PlannedPass | undefined;
  #before = 0;
  #steps = 0;

  constructor(picture: number, passes: readonly PlannedPass[], { onProgress }: GenerateOptions) {
    this.#picture = picture;
    this.#totalSteps = passes.reduce((sum, { plan }) => sum + plan.end - plan.begin, 0);
    this.#report = onProgress;
  }

  /** The next pass gets ready: prompts are encoded, pictures brought into latents. */
  begin(pass: PlannedPass): void {
    this.#before = this.#steps;
    this.#pass = pass;
    this.#tell("encoding", undefined);
  }

  /** An evaluation of the pass is done. */
  step(step: StepProgress): void {
    this.#steps = this.#before + step.step;
    this.#tell("denoising", step);
  }

  /** The last pass is done. */
  decoding(): void {
    this.#tell("decoding", undefined);
  }

  #tell(phase: GenerateProgress["phase"], step: StepProgress | undefined): void {
    const pass = this.#pass;
    const size = pass && { width: pass.request.width / PIXELS_PER_LATENT, height: pass.request.height / PIXELS_PER_LATENT };
    this.#report?.({
      phase,
      picture: this.#picture,
      step: this.#steps,
      totalSteps: this.#totalSteps,
      latents: step && size ? { latents: step.latents, ...size } : undefined,
      preview: async () => {
        if (!step || !size || !pass) return undefined;
        return previewOf(pass.model, step.predictedOriginal ?? step.latents, size);
      },
    });
  }
}

async function previewOf(
  { checkpoint: { family, configs }, tinyAutoencoder }: DiffusionModel,
  latents: Float32Array,
  { height, width }: { height: number; width: number },
): Promise<Picture> {
  if (!tinyAutoencoder)
    return previewPicture(latents, height, width, configs.vae.latentRgb ?? (family === "sd15" ? "sd15" : "sdxl"));
  return decodedPicture(await tinyAutoencoder.decode(latents, height, width), { height, width });
}
