import type { GenerateRequest, HiresRequest, InpaintRequest, LoraRequest, SchedulerRequest } from "@kiln/diffusion";
import type { CompleteRequest } from "../jobs/request.ts";
import { findScheduler } from "../models/schedulers.ts";
import { defined } from "./defined.ts";
import type { EngineJob } from "./picture-engine.ts";

/** The job in the library's words. */
export function generateRequestOf(job: EngineJob): GenerateRequest {
  const { request, pictures } = job;
  const { refiner, hires, variation } = request;
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
    scheduler: request.scheduler_from_model ? undefined : schedulerOf(request),
    eta: request.eta,
    timesteps: request.timesteps,
    seed: BigInt(request.seed),
    count: request.n,
    variation: variation && { seed: BigInt(variation.seed), strength: variation.strength },
    seedResizeFrom: request.seed_resize_from,
    noiseSeedDelta: request.noise_seed_delta,
    noise: request.noise,
    image: pictures.image,
    strength: request.strength,
    mask: pictures.mask,
    inpaint: inpaintOf(request),
    controls: request.controls.map(({ scale, start, end, mode }, index) =>
      defined({
        model: job.controlnets[index]?.path ?? "",
        image: pictures.controls[index] ?? new Uint8Array(),
        scale,
        start,
        end,
        mode,
      }),
    ),
    loras: lorasOf(job.loras),
    vae: job.vae?.path,
    embeddings: job.embeddings.map(({ path, token }) => defined({ file: path, token })),
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
    hires: hires && hiresOf(hires, job),
  });
}

function inpaintOf({ inpaint }: CompleteRequest): InpaintRequest | undefined {
  return (
    inpaint &&
    defined({ region: inpaint.region, padding: inpaint.padding, blur: inpaint.blur, blurY: inpaint.blur_y, fill: inpaint.fill })
  );
}

function hiresOf(hires: NonNullable<CompleteRequest["hires"]>, { second, secondLoras }: EngineJob): HiresRequest {
  const { scheduler, a1111 } = hires;
  return defined({
    scale: hires.scale,
    size: hires.size,
    upscaler: hires.upscaler === "latent" ? ("latent" as const) : ("lanczos" as const),
    strength: hires.strength,
    steps: hires.steps,
    by: hires.by,
    model: second?.path,
    prompt: hires.prompt,
    negativePrompt: hires.negative_prompt,
    guidanceScale: hires.guidance_scale,
    scheduler: scheduler !== undefined || a1111 ? schedulerOf({ scheduler: scheduler ?? "", a1111 }) : undefined,
    loras: secondLoras && lorasOf(secondLoras),
  });
}

function lorasOf(loras: EngineJob["loras"]): LoraRequest[] {
  return loras.map(({ path, weight, textEncoderWeight }) => defined({ file: path, weight, textEncoderWeight }));
}

function schedulerOf({
  scheduler,
  scheduler_config,
  a1111,
}: Pick<CompleteRequest, "scheduler" | "scheduler_config" | "a1111">): SchedulerRequest {
  if (a1111) {
    const { eta, s_churn, s_tmin, s_tmax, s_noise } = a1111.options ?? {};
    const options: Record<string, number> = defined({ eta, sChurn: s_churn, sTmin: s_tmin, sTmax: s_tmax, sNoise: s_noise });
    return { a1111: { ...defined({ sampler: a1111.sampler, schedule: a1111.schedule }), options } };
  }
  const name = findScheduler(scheduler)?.label ?? scheduler;
  return scheduler_config ? { name, config: scheduler_config } : name;
}
