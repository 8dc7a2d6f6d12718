import { KilnError } from "../../errors.ts";
import { blendByMask, weightedSum } from "../arithmetic.ts";
import type { Prediction } from "../prediction.ts";
import { alphaBars, TRAINING_STEPS } from "./noise-table.ts";
import type { ResolvedOptions } from "./options.ts";
import { planScheduler, type Space } from "./plan-scheduler.ts";
import type { A1111Run, A1111Scheduler, RunLength } from "./run.ts";
import type { Evaluation } from "./samplers/algorithm.ts";
import { ddim } from "./samplers/ddim.ts";
import { plms } from "./samplers/plms.ts";
import { ddimTimesteps } from "./samplers/timesteps.ts";
import { UNIPC_ORDER, unipc } from "./samplers/unipc.ts";

/** Plans a run of DDIM, PLMS or UniPC, whose samples have variance 1 throughout and whose levels are timesteps. */
export function planTimestepRun(
  run: A1111Run,
  { scheduleSteps, encodedSteps }: RunLength,
  options: ResolvedOptions,
): A1111Scheduler {
  const bars = alphaBars(run.zeroTerminalSnr ?? false).map(Math.fround);
  const all = ddimTimesteps(scheduleSteps);
  const encoded = encodedSteps ?? all.length;
  const timesteps = all.slice(0, encoded);
  const last = all.at(-1) ?? TRAINING_STEPS - 1;
  return planScheduler({
    plan: { evaluations: planOf(run, options, timesteps, bars) },
    space: timestepSpace(run.predictionType ?? "epsilon", bars),
    // As in AUTOMATIC1111, image to image is noised to the timestep above the one that it begins with.
    startLevel: run.strength === undefined ? last : (all[encoded] ?? last),
    initNoiseSigma: 1,
    sigmas: [],
    runSigmas: [],
    brownian: undefined,
  });
}

function planOf(run: A1111Run, options: ResolvedOptions, timesteps: readonly number[], bars: Float64Array): Evaluation[] {
  if (run.sampler === "DDIM") return ddim(timesteps, bars, options.eta);
  if (run.sampler === "PLMS") return plms(timesteps, bars);
  if (timesteps.length < UNIPC_ORDER) {
    const message = `UniPC needs ${UNIPC_ORDER} steps at least and this run has ${timesteps.length}; ask for more steps or a higher strength.`;
    throw new KilnError("invalid_request", message, { subject: "steps" });
  }
  return unipc(timesteps.length, run.strength === undefined ? TRAINING_STEPS - 1 : (timesteps.at(-1) ?? 0), bars);
}

function timestepSpace(prediction: Prediction, bars: Float64Array): Space {
  // Levels between two training timesteps, which UniPC alone has, are interpolated in log alpha as it does.
  const barAt = (level: number): number => {
    const low = Math.floor(level);
    const here = Math.log(bars[low] ?? 1);
    return Math.exp(here + (level - low) * (Math.log(bars[low + 1] ?? bars[low] ?? 1) - here));
  };
  const space: Space = {
    timestepOf: (level) => level,
    scaleInput: (sample) => sample,
    predict(output, sample, level) {
      const bar = barAt(level);
      switch (prediction) {
        case "epsilon":
          return output;
        case "v_prediction": {
          // AUTOMATIC1111 looks v up at the whole timestep below, also where UniPC asks between two.
          const below = bars[Math.trunc(level)] ?? 1;
          return weightedSum([Math.sqrt(below), output], [Math.sqrt(1 - below), sample]);
        }
        case "sample":
          return weightedSum([1 / Math.sqrt(1 - bar), sample], [-Math.sqrt(bar / (1 - bar)), output]);
      }
    },
    original: (epsilon, sample, level) =>
      weightedSum([1 / Math.sqrt(barAt(level)), sample], [-Math.sqrt(1 / barAt(level) - 1), epsilon]),
    addNoise: (clean, noise, level) => weightedSum([Math.sqrt(barAt(level)), clean], [Math.sqrt(1 - barAt(level)), noise]),
    keeping: (clean, mask) => ({
      ...space,
      scaleInput: (sample) => blendByMask(sample, clean, mask),
      predict: (output, sample, level) => space.predict(output, blendByMask(sample, clean, mask), level),
    }),
  };
  return space;
}
