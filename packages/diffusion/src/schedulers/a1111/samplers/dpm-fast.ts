import { type Term, weightedSum } from "../../arithmetic.ts";
import { linspace } from "../../spacing.ts";
import { type Evaluation, type Point, type Progress, remembered, type SamplerOptions } from "./algorithm.ts";
import { ancestralStep } from "./ancestral-step.ts";

/**
 * DPM-Solver-fast (arXiv 2206.00927, Appendix D): steps of third order, and lower ones at the end, that evaluate the network
 * `evaluations` times in all between two noise levels; with ancestral noise where `eta` is above 0, as k-diffusion's `sample_dpm_fast`.
 * Positions are t = -log sigma.
 */
export function dpmFast(sigmaMax: number, sigmaMin: number, evaluations: number, { eta, sNoise }: SamplerOptions): Evaluation[] {
  const end = -Math.log(sigmaMin);
  const count = Math.floor(evaluations / 3) + 1;
  const positions = [...linspace(-Math.log(sigmaMax), end, count + 1)];
  const rest = evaluations % 3;
  const orders = [
    ...Array.from({ length: rest === 0 ? Math.max(count - 2, 0) : count - 1 }, () => 3),
    ...(rest === 0 ? [2, 1] : [rest]),
  ];
  return orders.flatMap((order, index) => {
    const from = positions[index] ?? end;
    const to = positions[index + 1] ?? end;
    if (eta === 0) return solverStep(order, { from, to, arrive: (sample) => sample });
    const down = Math.min(end, -Math.log(ancestralStep(Math.exp(-from), Math.exp(-to), eta).down));
    const up = Math.sqrt(Math.max(Math.exp(-2 * to) - Math.exp(-2 * down), 0));
    return solverStep(order, { from, to: down, arrive: (sample, draw) => weightedSum([1, sample], [up * sNoise, draw()]) });
  });
}

/** One step between two positions. */
interface Step {
  readonly from: number;
  readonly to: number;
  /** Adds what noise the step ends with. */
  readonly arrive: (sample: Float32Array, draw: Point["draw"]) => Float32Array;
}

/** Where a step began: its sample and the noise predicted there, which its later evaluations remember. */
type Begun = readonly [sample: Float32Array, noise: Float32Array];

function solverStep(order: number, step: Step): Evaluation[] {
  if (order === 1) return firstOrder(step);
  return order === 2 ? secondOrder(step) : thirdOrder(step);
}

/** DPM-Solver-1 (equation 3.7). */
function firstOrder(step: Step): Evaluation[] {
  return [
    evaluation(step.from, true, (point) => end(step, point, reach(step, [point.sample, noiseAt(point, step.from)], step.to))),
  ];
}

/** DPM-Solver-2 with r1 = 1/2 (algorithm 1). */
function secondOrder(step: Step): Evaluation[] {
  const { from, to } = step;
  const h = to - from;
  const middle = from + h / 2;
  const close = evaluation(middle, false, (point) => {
    const correction = -sigmaOf(to) * Math.expm1(h);
    return end(step, point, reach(step, begunAt(point), to, correction, noiseAt(point, middle)));
  });
  return [begin(step, middle), close];
}

/** DPM-Solver-3 with r1 = 1/3 and r2 = 2/3 (algorithm 2). */
function thirdOrder(step: Step): Evaluation[] {
  const { from, to } = step;
  const h = to - from;
  const s1 = from + h / 3;
  const s2 = from + (2 * h) / 3;
  const second = evaluation(s1, false, (point) => {
    const begun = begunAt(point);
    const correction = -sigmaOf(s2) * 2 * (Math.expm1((2 * h) / 3) / ((2 * h) / 3) - 1);
    return { sample: reach(step, begun, s2, correction, noiseAt(point, s1)), history: begun };
  });
  const third = evaluation(s2, false, (point) => {
    const correction = -sigmaOf(to) * 1.5 * (Math.expm1(h) / h - 1);
    return end(step, point, reach(step, begunAt(point), to, correction, noiseAt(point, s2)));
  });
  return [begin(step, s1), second, third];
}

function evaluation(position: number, beginsStep: boolean, advance: (point: Point) => Progress): Evaluation {
  return { level: sigmaOf(position), beginsStep, advance };
}

/** The first evaluation of a step that has more: on to `target`. */
function begin(step: Step, target: number): Evaluation {
  return evaluation(step.from, true, (point) => {
    const begun: Begun = [point.sample, noiseAt(point, step.from)];
    return { sample: reach(step, begun, target), history: begun };
  });
}

function end({ arrive }: Step, { draw }: Point, sample: Float32Array): Progress {
  return { sample: arrive(sample, draw), history: [] };
}

function begunAt({ history }: Point): Begun {
  return [remembered(history, 2), remembered(history, 1)];
}

/** The sample at `target`, from where the step began; `later` noise corrects it by its difference to the first, so weighted. */
function reach({ from }: Step, [start, first]: Begun, target: number, weight = 0, later?: Float32Array): Float32Array {
  const correction: Term[] =
    later === undefined
      ? []
      : [
          [weight, later],
          [-weight, first],
        ];
  return weightedSum([1, start], [-sigmaOf(target) * Math.expm1(target - from), first], ...correction);
}

function noiseAt({ sample, prediction }: Point, position: number): Float32Array {
  return weightedSum([1 / sigmaOf(position), sample], [-1 / sigmaOf(position), prediction]);
}

function sigmaOf(position: number): number {
  return Math.exp(-position);
}
