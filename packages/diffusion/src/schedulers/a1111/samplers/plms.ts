import { weightedSum } from "../../arithmetic.ts";
import { type Evaluation, remembered } from "./algorithm.ts";
import { ddimMove } from "./ddim.ts";
import { movesDown } from "./timesteps.ts";

/** The Adams-Bashforth weights of the newest and the earlier answers, by how many there are. */
const WEIGHTS: readonly (readonly number[])[] = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
];

/** Pseudo linear multistep (PNDM, arXiv 2202.09778, equation 12); the first step asks twice, as an improved Euler step. */
export function plms(timesteps: readonly number[], alphaBars: Float64Array): Evaluation[] {
  return movesDown(timesteps, alphaBars).flatMap((move, index): Evaluation[] => {
    if (index > 0) {
      const multistep: Evaluation["advance"] = ({ sample, prediction, history }) => {
        const answers = [...history, prediction].slice(-WEIGHTS.length);
        const weights = WEIGHTS[answers.length - 1] ?? [];
        const slope = weightedSum(...answers.map((answer, at) => [weights[answers.length - 1 - at] ?? 0, answer] as const));
        return { sample: ddimMove(sample, slope, move, 0), history: answers.slice(1 - WEIGHTS.length) };
      };
      return [{ level: move.timestep, beginsStep: true, advance: multistep }];
    }
    return [
      {
        level: move.timestep,
        beginsStep: true,
        advance: ({ sample, prediction }) => ({ sample: ddimMove(sample, prediction, move, 0), history: [sample, prediction] }),
      },
      {
        level: move.next,
        beginsStep: false,
        advance({ prediction, history }) {
          const answer = remembered(history, 1);
          const slope = weightedSum([0.5, answer], [0.5, prediction]);
          return { sample: ddimMove(remembered(history, 2), slope, move, 0), history: [answer] };
        },
      },
    ];
  });
}
