import { TRAINING_STEPS } from "../noise-table.ts";

/** The timesteps of AUTOMATIC1111's DDIM, PLMS and UniPC, rising: every whole `1000 / steps`, moved up by one. */
export function ddimTimesteps(steps: number): number[] {
  const distance = Math.floor(TRAINING_STEPS / steps);
  const count = Math.ceil(TRAINING_STEPS / distance);
  return Array.from({ length: count }, (_, index) => Math.min(index * distance + 1, TRAINING_STEPS - 1));
}

/** One way down in the list of timesteps, with the cumulative alphas at both ends. */
export interface TimestepMove {
  readonly timestep: number;
  /** The timestep that the move goes to. */
  readonly next: number;
  readonly alphaBar: number;
  readonly nextAlphaBar: number;
}

/** The moves from the last timestep down to the first, at which these algorithms end. */
export function movesDown(timesteps: readonly number[], alphaBars: Float64Array): TimestepMove[] {
  return timesteps
    .slice(1)
    .map((timestep, index) => {
      const next = timesteps[index] ?? 0;
      return { timestep, next, alphaBar: alphaBars[timestep] ?? 1, nextAlphaBar: alphaBars[next] ?? 1 };
    })
    .reverse();
}
