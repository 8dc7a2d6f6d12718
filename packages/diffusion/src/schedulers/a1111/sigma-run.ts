import { KilnError } from "../../errors.ts";
import { blendByMask, weightedSum } from "../arithmetic.ts";
import { createDenoiser, type Denoiser } from "./denoiser.ts";
import { createLcmDenoiser } from "./lcm-denoiser.ts";
import { a1111Sampler, scheduleFor } from "./names.ts";
import type { ResolvedOptions } from "./options.ts";
import { planScheduler, type Space } from "./plan-scheduler.ts";
import type { A1111Run, A1111Scheduler, RunLength } from "./run.ts";
import type { Plan } from "./samplers/algorithm.ts";
import { dpmFast } from "./samplers/dpm-fast.ts";
import { SIGMA_SAMPLERS } from "./samplers/registry.ts";
import { SCHEDULES } from "./schedules/registry.ts";

/** Plans a run of k-diffusion's samplers: the schedule's sigmas, the part of them that is run, and the evaluations. */
export function planSigmaRun(run: A1111Run, length: RunLength, options: ResolvedOptions): A1111Scheduler {
  const makeDenoiser = run.sampler === "LCM" ? createLcmDenoiser : createDenoiser;
  const denoiser = makeDenoiser(run.predictionType ?? "epsilon", run.zeroTerminalSnr ?? false);
  const { scheduleSteps, encodedSteps } = length;
  const sigmas = sigmasOf(run, scheduleSteps, options, denoiser);
  const runSigmas = encodedSteps === undefined ? sigmas : sigmas.slice(scheduleSteps - encodedSteps - 1);
  const first = runSigmas[0] ?? 0;
  const { brownianNoise } = a1111Sampler(run.sampler);
  return planScheduler({
    plan: planOf(run, options, denoiser, runSigmas),
    space: sigmaSpace(denoiser),
    startLevel: first,
    initNoiseSigma: first,
    sigmas,
    runSigmas,
    // The path spans the whole schedule, so that image to image sees the same path as a whole run.
    brownian: brownianNoise
      ? { sigmaMin: Math.min(...sigmas.filter((sigma) => sigma > 0)), sigmaMax: Math.max(...sigmas) }
      : undefined,
  });
}

/** The schedule's sigmas in float32, with a step more asked for and its sigma before the last left out where the sampler does so. */
function sigmasOf(run: A1111Run, steps: number, options: ResolvedOptions, denoiser: Denoiser): number[] {
  const discard = options.discardNextToLastSigma || a1111Sampler(run.sampler).discardsNextToLastSigma;
  const name = scheduleFor(run);
  const sigmaMin = options.sigmaMin ?? denoiser.sigmas.at(0) ?? 0;
  const sigmaMax = options.sigmaMax ?? denoiser.sigmas.at(-1) ?? 0;
  if (sigmaMin >= sigmaMax) {
    const message = `sigmaMin (${sigmaMin}) must lie below sigmaMax (${sigmaMax}); leave both out for the model's own.`;
    throw new KilnError("invalid_request", message, { subject: "sigmaMin" });
  }
  const n = steps + (discard ? 1 : 0);
  const { betaAlpha, betaBeta, rho } = options;
  const plain =
    name === "automatic"
      ? []
      : SCHEDULES[name]({ n, sigmaMin, sigmaMax, rho, denoiser, family: run.family ?? "sdxl", betaAlpha, betaBeta });
  const sigmas = plain.map(Math.fround);
  return discard ? [...sigmas.slice(0, -2), ...sigmas.slice(-1)] : sigmas;
}

function planOf(run: A1111Run, options: ResolvedOptions, denoiser: Denoiser, runSigmas: readonly number[]): Plan {
  if (run.sampler === "DPM fast") return { evaluations: planDpmFast(run, options, denoiser, runSigmas) };
  if (run.sampler === "DDIM" || run.sampler === "PLMS" || run.sampler === "UniPC")
    throw new RangeError(`${run.sampler} has no sigmas`);
  return SIGMA_SAMPLERS[run.sampler](runSigmas, options);
}

/** DPM fast spaces its own levels: between the model's ends, or for image to image between the run's first and last above 0. */
function planDpmFast(run: A1111Run, options: ResolvedOptions, denoiser: Denoiser, runSigmas: readonly number[]) {
  if (run.strength === undefined) {
    return dpmFast(denoiser.sigmas.at(-1) ?? 1, denoiser.sigmas.at(0) ?? 1, run.steps, options);
  }
  return dpmFast(runSigmas[0] ?? 1, runSigmas.at(-2) ?? 1, runSigmas.length - 1, options);
}

/** Samples are `clean + sigma noise`; the network sees them at variance 1 and a timestep that is not rounded. */
function sigmaSpace(denoiser: Denoiser): Space {
  const space: Space = {
    timestepOf: denoiser.timestepOf,
    scaleInput: (sample, sigma) => weightedSum([1 / Math.sqrt(sigma * sigma + 1), sample]),
    predict: denoiser.denoised,
    original: (prediction) => prediction,
    addNoise: (clean, noise, sigma) => weightedSum([1, clean], [sigma, noise]),
    keeping: (clean, mask) => ({
      ...space,
      predict: (output, sample, sigma) => blendByMask(space.predict(output, sample, sigma), clean, mask),
    }),
  };
  return space;
}
