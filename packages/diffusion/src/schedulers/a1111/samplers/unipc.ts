import { solveLinear, type Term, weightedSum } from "../../arithmetic.ts";
import { linspace } from "../../spacing.ts";
import { TRAINING_STEPS } from "../noise-table.ts";
import type { Evaluation } from "./algorithm.ts";

/** AUTOMATIC1111's default order; its UniPC refuses runs of fewer steps. */
export const UNIPC_ORDER = 3;

/** A point of the run on the half log signal-to-noise axis. */
interface Place {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

/**
 * UniPC, order 3, variant B1, data prediction, lower order at the end (arXiv 2302.04867, Algorithms 5 to 8), at evenly spaced
 * timesteps from `start` (in training timesteps, 999 for a whole run) to 0, where it ends without a last evaluation.
 * The prediction of `Point` is epsilon. History: [samples before the last move, data predictions of up to three places].
 */
export function unipc(steps: number, start: number, alphaBars: Float64Array): Evaluation[] {
  const timesteps = [...linspace(start, 0, steps + 1)];
  const places = timesteps.map((timestep) => placeOf(timestep, alphaBars));
  const at = (index: number): Place => places[index] ?? placeOf(0, alphaBars);
  const orderOf = (step: number): number => (step < UNIPC_ORDER ? step : Math.min(UNIPC_ORDER, steps + 1 - step));
  return timesteps.slice(0, steps).map((timestep, index) => ({
    level: Math.fround(timestep),
    beginsStep: true,
    advance({ sample, prediction, history }) {
      const here = at(index);
      const data = weightedSum([1 / here.alpha, sample], [-here.sigma / here.alpha, prediction]);
      const [origin, ...earlier] = history;
      // The answer at the predicted sample first corrects the move that led here, then the next move is predicted.
      const move = (target: number, order: number) => ({
        target: at(target),
        known: places.slice(0, target).slice(-order).reverse(),
        order,
      });
      const corrected = origin === undefined ? sample : corrector(origin, data, earlier, move(index, orderOf(index)));
      const known = [...earlier, data].slice(-UNIPC_ORDER);
      return { sample: predictor(corrected, known, move(index + 1, orderOf(index + 1))), history: [corrected, ...known] };
    },
  }));
}

/** One move: where it goes, and the places of the data predictions it may use, nearest first. */
interface Move {
  readonly target: Place;
  readonly known: readonly Place[];
  readonly order: number;
}

function predictor(sample: Float32Array, data: readonly Float32Array[], move: Move): Float32Array {
  const { base, ratios, matrix, vector, scale } = coefficients(sample, data, move);
  const size = move.order - 1;
  if (size === 0) return weightedSum(...base);
  // For order 2 the authors use the limit for short steps in place of the solution.
  const weights =
    size === 1
      ? [0.5]
      : solveLinear(
          matrix.slice(0, size).map((row) => row.slice(0, size)),
          vector.slice(0, size),
        );
  return weightedSum(...base, ...differences(weights, ratios, data, scale));
}

function corrector(sample: Float32Array, answer: Float32Array, data: readonly Float32Array[], move: Move): Float32Array {
  const { base, ratios, matrix, vector, scale } = coefficients(sample, data, move);
  const weights = move.order === 1 ? [0.5] : solveLinear(matrix, vector);
  const last = scale * (weights.at(-1) ?? 0);
  const newest = data.at(-1);
  const terms =
    newest === undefined
      ? []
      : ([
          [last, answer],
          [-last, newest],
        ] satisfies Term[]);
  return weightedSum(...base, ...differences(weights.slice(0, -1), ratios, data, scale), ...terms);
}

/** What predictor and corrector share: the first-order move and the linear system for the weights of the differences. */
function coefficients(sample: Float32Array, data: readonly Float32Array[], { target, known, order }: Move) {
  const origin = known[0] ?? target;
  const h = target.lambda - origin.lambda;
  const newest = data.at(-1) ?? sample;
  const base: Term[] = [
    [target.sigma / origin.sigma, sample],
    [-target.alpha * Math.expm1(-h), newest],
  ];
  const ratios = [...known.slice(1, order).map((place) => (place.lambda - origin.lambda) / h), 1];
  const vector: number[] = [];
  let phi = Math.expm1(-h) / -h - 1;
  let factorial = 1;
  for (let power = 1; power <= order; power++) {
    vector.push((phi * factorial) / -h);
    factorial *= power + 1;
    phi = phi / -h - 1 / factorial;
  }
  const matrix = vector.map((_, power) => ratios.map((ratio) => ratio ** power));
  return { base, ratios, matrix, vector, scale: target.alpha * h };
}

/** The weighted differences of the earlier data predictions to the newest, divided by their distances. */
function differences(
  weights: readonly number[],
  ratios: readonly number[],
  data: readonly Float32Array[],
  scale: number,
): Term[] {
  const newest = data.at(-1);
  return weights.flatMap((weight, index): Term[] => {
    const earlier = data.at(-2 - index);
    if (newest === undefined || earlier === undefined) return [];
    const factor = (scale * weight) / (ratios[index] ?? 1);
    return [
      [factor, earlier],
      [-factor, newest],
    ];
  });
}

/** The place of a timestep between two training timesteps: log alpha is interpolated linearly. */
function placeOf(timestep: number, alphaBars: Float64Array): Place {
  const low = Math.min(Math.max(Math.floor(timestep), 0), TRAINING_STEPS - 2);
  const logAt = (index: number): number => 0.5 * Math.log(alphaBars[index] ?? 1);
  const logAlpha = logAt(low) + (timestep - low) * (logAt(low + 1) - logAt(low));
  const sigma = Math.sqrt(-Math.expm1(2 * logAlpha));
  return { alpha: Math.exp(logAlpha), sigma, lambda: logAlpha - Math.log(sigma) };
}
