import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "../checkpoint/family.ts";
import { KilnError } from "../errors.ts";
import { resolveA1111Name } from "../schedulers/a1111/names.ts";
import { type A1111Scheduler, createA1111Sampler } from "../schedulers/a1111/sampler.ts";
import { evaluationRange, startIndexForStrength } from "../schedulers/partial-run.ts";
import { createScheduler } from "../schedulers/registry.ts";
import type { Scheduler, SchedulerConfig } from "../schedulers/scheduler.ts";
import { type A1111Choice, a1111Choice } from "./a1111-choice.ts";
import type { CompleteRequest } from "./complete-request.ts";

/** Which evaluations of which scheduler a pass makes. */
export interface RunPlan {
  readonly scheduler: Scheduler;
  readonly begin: number;
  readonly end: number;
  /** AUTOMATIC1111's samplers make their own first sample. */
  readonly a1111: A1111Scheduler | undefined;
}

/**
 * @param fromPicture whether the pass starts from a picture or latents: strength and `denoisingStart` count then.
 * @throws KilnError invalid_request for a scheduler that is unknown or refuses the request.
 */
export function planRun(request: CompleteRequest, checkpoint: Checkpoint, fromPicture: boolean): RunPlan {
  const a1111 = a1111Choice(request);
  if (a1111) return planA1111(request, a1111, checkpoint, fromPicture);
  const scheduler = schedulerOf(request, checkpoint);
  const { denoisingStart, denoisingEnd, steps, strength } = request;
  const range = evaluationRange(scheduler, denoisingStart, denoisingEnd);
  const byStrength = fromPicture && denoisingStart === undefined;
  // diffusers counts every evaluation as a step where timesteps or sigmas are given.
  const counted = request.timesteps || request.sigmas ? scheduler.timesteps.length : steps;
  const begin = byStrength ? startIndexForStrength(scheduler, counted, strength) : range.begin;
  const { end } = range;
  if (end <= begin) {
    throw new KilnError("invalid_request", "strength, denoisingStart and denoisingEnd leave no step to draw.", {
      subject: "strength",
    });
  }
  return { scheduler, begin, end, a1111: undefined };
}

function schedulerOf(
  { scheduler: asked, steps, timesteps, sigmas, eta }: CompleteRequest,
  { configs, family }: Checkpoint,
): Scheduler {
  const named: { readonly name: string; readonly config?: SchedulerConfig } =
    typeof asked === "object" && "name" in asked ? asked : { name: typeof asked === "string" ? asked : ownScheduler(configs) };
  const run = { steps, family: tableFamily(family), timesteps, sigmas, eta };
  return createScheduler(named.name, { ...configs.scheduler, ...named.config }, run);
}

/** diffusers' name of a checkpoint's own scheduler. */
export function ownScheduler({ scheduler }: Checkpoint["configs"]): string {
  return typeof scheduler._class_name === "string" ? scheduler._class_name : "EulerDiscreteScheduler";
}

/** Whose tables of noise levels (Align Your Steps) a family takes: SDXL's refiner has none of its own. */
function tableFamily(family: Family): "sdxl" | "sd15" {
  return family === "sd15" ? "sd15" : "sdxl";
}

const TIMESTEPS = 1000;
const LAST_TIMESTEP = TIMESTEPS - 1;

function planA1111(
  { steps, strength, denoisingStart, denoisingEnd }: CompleteRequest,
  { sampler, schedule, options, exactSteps }: A1111Choice,
  { prediction, zeroTerminalSnr, family }: Checkpoint,
  fromPicture: boolean,
): RunPlan {
  const scheduler = createA1111Sampler({
    ...resolveA1111Name(sampler, schedule),
    steps,
    strength: fromPicture ? strength : undefined,
    exactSteps,
    predictionType: prediction,
    zeroTerminalSnr,
    family: tableFamily(family),
    options,
  });
  if (denoisingStart !== undefined) {
    const message =
      "denoisingStart does not go with a sampler of AUTOMATIC1111's, which needs the state of its run: name the refiner in the same request.";
    throw new KilnError("invalid_request", message, { subject: "denoisingStart" });
  }
  return { scheduler, begin: 0, end: switchIndex(scheduler, denoisingEnd), a1111: scheduler };
}

/**
 * The first evaluation that is the refiner's: as AUTOMATIC1111's `apply_refiner`, the first whose timestep, counted down from 999
 * in thousandths, has come as far as the fraction. Evaluations are not steps here: it changes in the middle of one too.
 */
function switchIndex({ timesteps }: Scheduler, fraction: number | undefined): number {
  if (fraction === undefined) return timesteps.length;
  const found = timesteps.findIndex((timestep) => (LAST_TIMESTEP - Math.round(timestep)) / TIMESTEPS >= fraction);
  return found < 0 ? timesteps.length : found;
}
