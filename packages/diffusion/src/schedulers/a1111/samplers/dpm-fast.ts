import { type Term, weightedSum } from "../../arithmetic.ts";
import { linspace } from "../../spacing.ts";
import type { Evaluation, Point, Progress, SamplerOptions } from "./algorithm.ts";
import { remembered } from "./algorithm.ts";
import { ancestralStep } from "./ancestral-step.ts";

/**
 * DPM-Solver-fast (arXiv:2206.00927, Appendix D): steps of third order, and lower ones at the end, that evaluate the network
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
    if (eta === 0) return solverStep(order, from, to, (sample) => sample);
    const down = Math.min(end, -Math.log(ancestralStep(Math.exp(-from), Math.exp(-to), eta).down));
    const up = Math.sqrt(Math.max(Math.exp(-2 * to) - Math.exp(-2 * down), 0));
    return solverStep(order, from, down, (sample, draw) => weightedSum([1, sample], [up * sNoise, draw()]));
  });
}

type Arrive = (sample: Float32Array, draw: Point["draw"]) => Float32Array;

/** One step of DPM-Solver-1, -2 (r1 = 1/2) or -3 (r1 = 1/3, r2 = 2/3). */
function solverStep(order: number, from: number, to: number, arrive: Arrive): Evaluation[] {
  const sigma = (position: number): number => Math.exp(-position);
  const h = to - from;
  const epsilon = ({ sample, prediction }: Point, position: number): Float32Array =>
    weightedSum([1 / sigma(position), sample], [-1 / sigma(position), prediction]);
  /** The start and the slopes so far give the point at `target`; the corrections weigh the differences to the first slope. */
  const reach = (start: Float32Array, first: Float32Array, target: number, correction: readonly Term[]): Float32Array =>
    weightedSum([1, start], [-sigma(target) * Math.expm1(target - from), first], ...correction);
  const evaluation = (position: number, beginsStep: boolean, advance: (point: Point) => Progress): Evaluation => ({
    level: sigma(position),
    beginsStep,
    advance,
  });
  const done = (sample: Float32Array, point: Point): Progress => ({ sample: arrive(sample, point.draw), history: [] });
  const begin = (target: number): Evaluation =>
    evaluation(from, true, (point) => {
      const first = epsilon(point, from);
      return { sample: reach(point.sample, first, target, []), history: [point.sample, first] };
    });
  if (order === 1) return [evaluation(from, true, (point) => done(reach(point.sample, epsilon(point, from), to, []), point))];

  if (order === 2) {
    const middle = from + h / 2;
    const close = evaluation(middle, false, (point) => {
      const start = remembered(point.history, 2);
      const first = remembered(point.history, 1);
      const weight = -sigma(to) * Math.expm1(h);
      return done(
        reach(start, first, to, [
          [weight, epsilon(point, middle)],
          [-weight, first],
        ]),
        point,
      );
    });
    return [begin(middle), close];
  }

  const s1 = from + h / 3;
  const s2 = from + (2 * h) / 3;
  const second = evaluation(s1, false, (point) => {
    const start = remembered(point.history, 2);
    const first = remembered(point.history, 1);
    const weight = -sigma(s2) * 2 * (Math.expm1((2 * h) / 3) / ((2 * h) / 3) - 1);
    return {
      sample: reach(start, first, s2, [
        [weight, epsilon(point, s1)],
        [-weight, first],
      ]),
      history: [start, first],
    };
  });
  const third = evaluation(s2, false, (point) => {
    const start = remembered(point.history, 2);
    const first = remembered(point.history, 1);
    const weight = -sigma(to) * 1.5 * (Math.expm1(h) / h - 1);
    return done(
      reach(start, first, to, [
        [weight, epsilon(point, s2)],
        [-weight, first],
      ]),
      point,
    );
  });
  return [begin(s1), second, third];
}
