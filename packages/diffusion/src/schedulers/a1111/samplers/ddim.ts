import { weightedSum } from "../../arithmetic.ts";
import type { Evaluation } from "./algorithm.ts";
import { movesDown, type TimestepMove } from "./timesteps.ts";

/** DDIM (arXiv 2010.02502, equations 12 and 16); `eta` 0 is deterministic. */
export function ddim(timesteps: readonly number[], alphaBars: Float64Array, eta: number): Evaluation[] {
  return movesDown(timesteps, alphaBars).map((move) => ({
    level: move.timestep,
    beginsStep: true,
    advance({ sample, prediction, draw }) {
      const { alphaBar, nextAlphaBar } = move;
      const deviation = eta * Math.sqrt(((1 - nextAlphaBar) / (1 - alphaBar)) * (1 - alphaBar / nextAlphaBar));
      const moved = ddimMove(sample, prediction, move, deviation);
      return { sample: deviation > 0 ? weightedSum([1, moved], [deviation, draw()]) : moved, history: [] };
    },
  }));
}

/** The finished sample that epsilon stands for, noised to the next timestep along epsilon, but for the deviation that fresh noise fills. */
export function ddimMove(sample: Float32Array, epsilon: Float32Array, move: TimestepMove, deviation: number): Float32Array {
  const { alphaBar, nextAlphaBar } = move;
  const shrink = Math.sqrt(nextAlphaBar / alphaBar);
  return weightedSum(
    [shrink, sample],
    [Math.sqrt(Math.max(1 - nextAlphaBar - deviation ** 2, 0)) - shrink * Math.sqrt(1 - alphaBar), epsilon],
  );
}
