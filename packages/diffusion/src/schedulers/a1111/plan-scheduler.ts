import type { BrownianInterval, NoiseDraw, SchedulerState, SchedulerStep } from "../scheduler.ts";
import { TRAINING_STEPS } from "./noise-table.ts";
import type { A1111Scheduler } from "./run.ts";
import type { Plan } from "./samplers/algorithm.ts";

/** How the two kinds of run, in sigmas and in timesteps, read samples and the network's answers. */
export interface Space {
  /** The network's timestep at a level of the plan. */
  timestepOf(level: number): number;
  scaleInput(sample: Float32Array, level: number): Float32Array;
  /** What the plan wants to know of an answer: the denoised sample, or epsilon. */
  predict(output: Float32Array, sample: Float32Array, level: number): Float32Array;
  /** The finished sample that a prediction stands for. */
  original(prediction: Float32Array, sample: Float32Array, level: number): Float32Array;
  addNoise(clean: Float32Array, noise: Float32Array, level: number): Float32Array;
  /** The same with clean latents outside a mask, where AUTOMATIC1111's kind of run looks at them. */
  keeping(clean: Float32Array, mask: Float32Array): Space;
}

export interface PlannedRun {
  readonly plan: Plan;
  readonly space: Space;
  /** The level at which the run's first sample is, before any churn. */
  readonly startLevel: number;
  readonly initNoiseSigma: number;
  readonly sigmas: readonly number[];
  readonly runSigmas: readonly number[];
  readonly brownian: BrownianInterval | undefined;
}

/** Runs a plan behind the interface of all schedulers. */
export function planScheduler(run: PlannedRun): A1111Scheduler {
  const { plan, space } = run;
  const { evaluations } = plan;
  const at = (index: number) => {
    const evaluation = evaluations[index];
    if (evaluation === undefined) throw new RangeError(`the run has ${evaluations.length} evaluations, and no number ${index}`);
    return evaluation;
  };
  const begin = (index = 0): SchedulerState => {
    if (evaluations[index]?.beginsStep === false) throw new RangeError(`evaluation ${index} is in the middle of a step`);
    return { index, history: [], numbers: {} };
  };
  const levelBefore = (index: number): number => (index === 0 ? run.startLevel : at(index).level);
  return {
    timesteps: Float64Array.from(evaluations, ({ level }) => space.timestepOf(level)),
    sigmas: Float64Array.from(run.sigmas),
    runSigmas: Float64Array.from(run.runSigmas),
    order: evaluations.some(({ beginsStep }) => !beginsStep) ? 2 : 1,
    initNoiseSigma: run.initNoiseSigma,
    trainTimesteps: TRAINING_STEPS,
    ...(run.brownian === undefined ? {} : { brownian: run.brownian }),
    begin,
    keeping: (clean, mask) => planScheduler({ ...run, space: space.keeping(clean, mask) }),
    addNoise: (clean, noise, index) => space.addNoise(clean, noise, levelBefore(index)),
    scaleModelInput: (sample, { index }) => space.scaleInput(sample, at(index).level),
    start(draw: NoiseDraw, initLatent?: Float32Array) {
      const noise = draw();
      const first =
        initLatent === undefined
          ? noise.map((value) => value * run.initNoiseSigma)
          : space.addNoise(initLatent, noise, run.startLevel);
      return { sample: plan.prepare?.(first, draw) ?? first, state: begin() };
    },
    step(output, sample, state, draw): SchedulerStep {
      const { level, advance } = at(state.index);
      const prediction = space.predict(output, sample, level);
      const moved = advance({ sample, prediction, history: state.history, draw });
      return {
        sample: moved.sample,
        state: { index: state.index + 1, history: moved.history, numbers: {} },
        predictedOriginal: space.original(prediction, sample, level),
      };
    },
  };
}
