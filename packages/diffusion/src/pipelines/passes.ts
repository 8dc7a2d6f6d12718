import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import type { Autoencoder } from "../networks/autoencoder.ts";
import { a1111Choice } from "./a1111-choice.ts";
import { type CompleteRequest, completeRequest } from "./complete-request.ts";
import type { DiffusionModel } from "./diffusion-model.ts";
import { hiresSize } from "./hires-size.ts";
import type { HiresRequest, LatentSource, RefinerRequest } from "./request.ts";
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
const HIRES_STRENGTH = { lanczos: 0.35, latent: 0.6 } as const;

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
  const pass: MakePass = (owner, wanted, from, plan = planRun(wanted, owner.checkpoint, wanted.image !== undefined)) => ({
    model: owner,
    autoencoder: vae ?? owner.autoencoder,
    request: wanted,
    plan,
    from,
    isRefiner: owner === refiner,
  });
  if (hires?.by === "refiner" && refine && refiner) return byRefiner(model, refiner, request, pass);
  const ensemble = refine && refine.mode !== "pass" ? { denoisingEnd: refine.switchAt ?? REFINER.switchAt } : {};

  const first = pass(model, { ...request, ...(hires ? {} : ensemble) }, "start");
  const passes = [first];
  if (hires) {
    const from = hires.upscaler === "latent" ? "enlarged latents" : "enlarged pixels";
    passes.push(pass(second, { ...secondPass(request, hires), ...ensemble }, from));
  }
  if (refine && refiner) {
    const base = passes.at(-1) ?? first;
    const next = refinerPass(base.request, refine, refiner);
    if (goesOn(base.request, refine)) {
      const rest = restOf(base.plan);
      if (rest) passes.push(pass(refiner, next, "run", rest));
    } else passes.push(pass(refiner, next, "latents"));
  }
  return passes;
}

type MakePass = (owner: DiffusionModel, wanted: CompleteRequest, from: Handover, plan?: RunPlan) => PlannedPass;

/** Hires fix whose second pass is the refiner's: it draws over the enlarged pixels with hires fix's strength and steps. */
function byRefiner(model: DiffusionModel, refiner: DiffusionModel, request: CompleteRequest, pass: MakePass): PlannedPass[] {
  const second = secondPass(request, { ...request.hires, upscaler: "lanczos" });
  const { strength, steps } = second;
  const over = refinerPass(second, { mode: "pass", strength, steps }, refiner);
  return [pass(model, request, "start"), pass(refiner, over, "enlarged pixels")];
}

/** AUTOMATIC1111 changes the network within a run, whose sampler and noise go on; diffusers ends one run and begins another. */
function goesOn(request: CompleteRequest, { mode = "ensemble" }: RefinerRequest): boolean {
  return mode === "ensemble" && a1111Choice(request) !== undefined;
}

/** The evaluations that a run leaves to the refiner; undefined where it ends before the refiner's turn. */
function restOf({ scheduler, end: begin, a1111 }: RunPlan): RunPlan | undefined {
  const end = scheduler.timesteps.length;
  return begin < end ? { scheduler, begin, end, a1111 } : undefined;
}

/** How far hires fix draws its second pass anew, 0 to 1. */
export function hiresStrength({ upscaler = "lanczos", strength = HIRES_STRENGTH[upscaler] }: HiresRequest): number {
  return strength;
}

function secondPass(request: CompleteRequest, hires: HiresRequest): CompleteRequest {
  const { steps = request.steps } = hires;
  const { drawn, enlarged } = hiresSize(request, hires);
  // As AUTOMATIC1111 does, the network is told the size before the cut.
  const told = [enlarged.height, enlarged.width] as const;
  const { originalSize = told, targetSize = told } = request;
  const { mask: _mask, timesteps: _timesteps, sigmas: _sigmas, denoisingStart: _start, ...first } = request;
  const rest = { ...first, ...ownOf(request, hires) };
  // AUTOMATIC1111 makes all steps of a second pass, where image to image makes the strength's part of them.
  const a1111 = a1111Choice(rest);
  const exact = a1111 ? { scheduler: { a1111: { ...a1111, exactSteps: true } } } : {};
  const image = latentsToCome(drawn.width, drawn.height);
  return { ...rest, ...exact, ...drawn, originalSize, targetSize, strength: hiresStrength(hires), steps, image };
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
function refinerPass(base: CompleteRequest, refine: Omit<RefinerRequest, "model">, refiner: DiffusionModel): CompleteRequest {
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
