import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import type { Autoencoder } from "../networks/autoencoder.ts";
import { type CompleteRequest, completeRequest } from "./complete-request.ts";
import type { DiffusionModel } from "./diffusion-model.ts";
import type { HiresRequest, LatentSource } from "./request.ts";
import { planRun, type RunPlan } from "./run-plan.ts";

/** How the latents of one pass become what the next one starts from. "run": the next goes on with the very run of the one before. */
export type Handover = "start" | "latents" | "run" | "enlarged latents" | "enlarged pixels";

/** A pass before its pictures are there. */
export interface PlannedPass {
  readonly model: DiffusionModel;
  readonly autoencoder: Autoencoder;
  readonly request: CompleteRequest;
  readonly plan: RunPlan;
  readonly from: Handover;
  readonly isRefiner: boolean;
}

/** The checkpoints of a request. */
export interface PassModels {
  readonly base: DiffusionModel;
  readonly refiner: DiffusionModel | undefined;
  /** Draws the second pass of hires fix in the base's place. */
  readonly second: DiffusionModel | undefined;
}

/** What diffusers and the services that Kiln replaces take for a refiner and a second pass. */
const REFINER = { switchAt: 0.8, strength: 0.3 } as const;
export const HIRES_SCALE = 1.5;
const HIRES = { scale: HIRES_SCALE, strength: { lanczos: 0.35, latent: 0.6 } } as const;

/**
 * Every pass that a request asks for, in order: the picture; hires fix (enlarge and draw again); the refiner, as an
 * ensemble of experts (the last pass of the base ends early and the refiner goes on) or as a pass of its own.
 * @param vae takes the place of every model's own: base and refiner draw the same latents.
 * @throws KilnError invalid_request for a second checkpoint of another family; and as `planRun`
 */
export function planPasses(models: PassModels, request: CompleteRequest, vae?: Autoencoder): PlannedPass[] {
  const { base: model, refiner, second = model } = models;
  if (second.checkpoint.family !== model.checkpoint.family) {
    const message = `hires.model is ${second.checkpoint.family} and the checkpoint ${model.checkpoint.family}: both must be of one family.`;
    throw new KilnError("invalid_request", message, { subject: "hires.model" });
  }
  const { refiner: refine, hires } = request;
  if (hires?.by === "refiner" && refine && refiner) return byRefiner(model, refiner, request, vae);
  const ensemble = refine && refine.mode !== "pass" ? { denoisingEnd: refine.switchAt ?? REFINER.switchAt } : {};
  const passes: PlannedPass[] = [];
  const add = (owner: DiffusionModel, wanted: CompleteRequest, from: Handover): void => {
    const plan = planRun(wanted, owner.checkpoint, wanted.image !== undefined);
    passes.push({
      model: owner,
      autoencoder: vae ?? owner.autoencoder,
      request: wanted,
      plan,
      from,
      isRefiner: owner === refiner,
    });
  };

  add(model, { ...request, ...(hires ? {} : ensemble) }, "start");
  if (hires)
    add(
      second,
      { ...secondPass(request, hires), ...ensemble },
      hires.upscaler === "latent" ? "enlarged latents" : "enlarged pixels",
    );
  if (refine && refiner) {
    const base = passes.at(-1)?.request ?? request;
    const next = refinerPass(base, refine, refiner);
    if (goesOn(base, refine)) passes.push(...secondHalf(passes.at(-1), next, refiner, vae));
    else add(refiner, next, "latents");
  }
  return passes;
}

/** Hires fix whose second pass is the refiner's: it draws over the enlarged pixels with hires fix's strength and steps. */
function byRefiner(
  model: DiffusionModel,
  refiner: DiffusionModel,
  request: CompleteRequest,
  vae: Autoencoder | undefined,
): PlannedPass[] {
  const second = secondPass(request, { ...request.hires, upscaler: "lanczos" });
  const { strength, steps } = second;
  const over = refinerPass(second, { model: "", mode: "pass", strength, steps }, refiner);
  const pass = (owner: DiffusionModel, wanted: CompleteRequest, from: Handover): PlannedPass => ({
    model: owner,
    autoencoder: vae ?? owner.autoencoder,
    request: wanted,
    plan: planRun(wanted, owner.checkpoint, wanted.image !== undefined),
    from,
    isRefiner: owner === refiner,
  });
  return [pass(model, request, "start"), pass(refiner, over, "enlarged pixels")];
}

/** AUTOMATIC1111 changes the network within a run, whose sampler and noise go on; diffusers ends one run and begins another. */
function goesOn({ scheduler }: CompleteRequest, { mode = "ensemble" }: NonNullable<CompleteRequest["refiner"]>): boolean {
  return mode === "ensemble" && typeof scheduler === "object" && "a1111" in scheduler;
}

/** The evaluations that are left to the refiner; no pass where the run ends before its turn, as there. */
function secondHalf(
  before: PlannedPass | undefined,
  request: CompleteRequest,
  refiner: DiffusionModel,
  vae: Autoencoder | undefined,
): PlannedPass[] {
  if (!before) return [];
  const { scheduler, end: begin, a1111 } = before.plan;
  const end = scheduler.timesteps.length;
  if (begin >= end) return [];
  return [
    {
      model: refiner,
      autoencoder: vae ?? refiner.autoencoder,
      request,
      plan: { scheduler, begin, end, a1111 },
      from: "run",
      isRefiner: true,
    },
  ];
}

function secondPass(request: CompleteRequest, hires: HiresRequest): CompleteRequest {
  const { scale = HIRES.scale, upscaler = "lanczos", strength = HIRES.strength[upscaler], steps = request.steps } = hires;
  const enlarged = (side: number): number => Math.round((side * scale) / PIXELS_PER_LATENT) * PIXELS_PER_LATENT;
  const { mask: _mask, timesteps: _timesteps, sigmas: _sigmas, denoisingStart: _start, ...first } = request;
  const rest = { ...first, ...ownOf(request, hires) };
  const [width, height] = [enlarged(request.width), enlarged(request.height)];
  // AUTOMATIC1111 makes all steps of a second pass, where image to image makes the strength's part of them.
  const { scheduler } = rest;
  const exact =
    typeof scheduler === "object" && "a1111" in scheduler
      ? { scheduler: { a1111: { ...scheduler.a1111, exactSteps: true } } }
      : {};
  return { ...rest, ...exact, width, height, strength, steps, image: latentsToCome(width, height) };
}

/** What hires fix says otherwise than the request. Its prompts are both encoders'. */
function ownOf(
  request: CompleteRequest,
  { prompt, negativePrompt, guidanceScale, scheduler, loras }: HiresRequest,
): Partial<CompleteRequest> {
  return {
    ...(prompt === undefined ? {} : { prompt, prompt2: "" }),
    ...(negativePrompt === undefined ? {} : { negativePrompt, negativePrompt2: "" }),
    guidanceScale: guidanceScale ?? request.guidanceScale,
    scheduler: scheduler ?? request.scheduler,
    ...(loras === undefined ? {} : { loras }),
  };
}

/** The refiner has no say in LoRAs, ControlNets or the base's own schedule. It goes through the same gate as every request. */
function refinerPass(
  base: CompleteRequest,
  refine: NonNullable<CompleteRequest["refiner"]>,
  refiner: DiffusionModel,
): CompleteRequest {
  const { mode = "ensemble", switchAt = REFINER.switchAt, strength = REFINER.strength, steps = base.steps } = refine;
  const { loras: _loras, controls: _controls, mask: _mask, denoisingEnd: _end, clipSkip: _clipSkip, seeds, ...rest } = base;
  const request = {
    ...rest,
    steps,
    image: latentsToCome(base.width, base.height),
    ...(mode === "pass" ? { strength } : { denoisingStart: switchAt }),
  };
  return { ...completeRequest(request, refiner), seeds };
}

/** Stands for the latents of the pass before until they are there. */
function latentsToCome(width: number, height: number): LatentSource {
  return { latents: new Float32Array(0), width: width / PIXELS_PER_LATENT, height: height / PIXELS_PER_LATENT };
}
