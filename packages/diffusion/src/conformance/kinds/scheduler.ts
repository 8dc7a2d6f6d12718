import { createScheduler, type Scheduler, type SchedulerRun, startIndexForStrength } from "../../index.ts";
import type { CaseFile } from "../../testing/case-file.ts";
import type { CaseKind } from "../attempt.ts";
import type { Produced } from "../comparison.ts";
import { Fields } from "../fields.ts";
import { floatTensor } from "../tensors.ts";

/** A whole run, step by step, from the network's answers and the noise that the case gives. */
export const scheduler: CaseKind = (file) => {
  const meta = new Fields(file.meta);
  const run = runOf(meta);
  const strength = meta.optionalNumber("strength");
  const make = async (): Promise<Record<string, Produced>> => {
    const planned = createScheduler(meta.text("scheduler"), meta.object("config").record(), run);
    const begin = strength === undefined ? 0 : startIndexForStrength(planned, run.steps, strength);
    const noise = floatTensor(file, "noise");
    const start =
      strength === undefined
        ? noise.data.map((value) => value * planned.initNoiseSigma)
        : planned.addNoise(floatTensor(file, "x0").data, noise.data, begin);
    return {
      timesteps: { shape: [planned.timesteps.length], data: planned.timesteps },
      sigmas: { shape: [planned.sigmas.length], data: planned.sigmas },
      "sample.start": { shape: noise.shape, data: start },
      ...runSteps(file, planned, begin, { shape: noise.shape, data: start }),
    };
  };
  return [{ label: "", make }];
};

function runOf(meta: Fields): SchedulerRun {
  const custom = meta.object("custom");
  const [timesteps, sigmas, eta] = [
    custom.optionalNumbers("timesteps"),
    custom.optionalNumbers("sigmas"),
    meta.optionalNumber("eta"),
  ];
  custom.refuseOthers("custom");
  return {
    steps: meta.number("steps"),
    ...(timesteps ? { timesteps } : {}),
    ...(sigmas ? { sigmas } : {}),
    ...(eta === undefined ? {} : { eta }),
  };
}

function runSteps(
  file: CaseFile,
  planned: Scheduler,
  begin: number,
  { shape, data }: { shape: readonly number[]; data: Float32Array },
): Record<string, Produced> {
  const made: Record<string, Produced> = {};
  let [sample, state] = [data, planned.begin(begin)];
  for (let i = 0; state.index < planned.timesteps.length; i++) {
    const step = `step.${String(i).padStart(2, "0")}`;
    made[`${step}.scaled`] = { shape, data: planned.scaleModelInput(sample, state) };
    let draws = 0;
    const result = planned.step(floatTensor(file, `${step}.output`).data, sample, state, () => {
      draws++;
      return floatTensor(file, `${step}.noise`).data;
    });
    const wanted = file.tensors.has(`${step}.noise`) ? 1 : 0;
    if (draws !== wanted) throw new Error(`${step} drew noise ${draws} times, and the reference ${wanted} times`);
    made[`${step}.sample`] = { shape, data: result.sample };
    [sample, state] = [result.sample, result.state];
  }
  return made;
}
