import { entry, type Term, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import { readFlag, readInteger } from "./config.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { solverSigmas } from "./discrete-sigmas.ts";
import { mixtureOfRatio, predictOriginal, readLimiter, readPrediction } from "./prediction.ts";
import { advance, ratioSpace } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas, readSigmaSpacing, type SigmaSpacing } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

/** Runs shorter than this end with lower orders where `lower_order_final` is set. */
const SHORT_RUN = 15;

const SUPPORTED: readonly SigmaSpacing[] = ["karras", "exponential", "beta"];

/** The diffusion exponential integrator sampler in log rho (Zhang and Chen 2022, arXiv 2204.13902, section 3.3), as diffusers' `DEISMultistepScheduler`. */
export const deis: SchedulerDefinition = {
  className: "DEISMultistepScheduler",
  names: { DEIS: {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform"],
  create: createDeis,
};

/** `history`: the noise predicted before, newest last. The last level is the table's smallest, not zero. */
function createDeis(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "timesteps", "sigmas");
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "ignored" });
  const prediction = readPrediction(config);
  const limit = readLimiter(config, "absent");
  const order = readInteger(config, "solver_order", 2, 1, 3);
  const spaced = solverSigmas(config, run, table, { supported: SUPPORTED, spaced: true });
  const respaced = readSigmaSpacing(config, SUPPORTED, false) !== undefined;
  const last = (respaced ? spaced.sigmas[spaced.sigmas.length - 1] : table.sigmas[0]) ?? 0;
  const sigmas = closedSigmas(spaced.sigmas, last);
  const evaluations = spaced.timesteps.length;
  const short = readFlag(config, "lower_order_final", true) && evaluations < SHORT_RUN;
  return {
    ...ratioSpace(spaced.timesteps, sigmas, table.length),
    order: 1,
    step(output, sample, state) {
      const mixture = mixtureOfRatio(entry(sigmas, state.index));
      const predictedOriginal = limit(predictOriginal(prediction, output, sample, mixture));
      const noise = weightedSum([1 / mixture.sigma, sample], [-mixture.alpha / mixture.sigma, predictedOriginal]);
      const outputs = [...state.history, noise];
      const most = short ? Math.min(order, evaluations - state.index) : order;
      const used = outputs.slice(-Math.min(most, outputs.length)).reverse();
      const levels = used.map((_, back) => entry(sigmas, state.index - back));
      const { alpha } = mixtureOfRatio(entry(sigmas, state.index + 1));
      const terms = used.map((values, i): Term => [alpha * coefficient(levels, i, entry(sigmas, state.index + 1)), values]);
      const next = weightedSum([alpha / mixture.alpha, sample], ...terms);
      return { sample: next, state: advance(state, order === 1 ? [] : outputs.slice(1 - order)), predictedOriginal };
    },
  };
}

/** The integral over rho, from the newest level to `to`, of the Lagrange polynomial in log rho that is 1 at level `own`. */
function coefficient(levels: readonly number[], own: number, to: number): number {
  const [from = 0] = levels;
  const others = levels.filter((_, i) => i !== own).map(Math.log);
  const log = Math.log(levels[own] ?? from);
  const divisor = others.reduce((product, other) => product * (log - other), 1);
  return (antiderivative(to, others) - antiderivative(from, others)) / divisor;
}

/** The antiderivative over rho of the product of (log rho - c) for the constants given, of which there are at most two. */
function antiderivative(rho: number, [c, d]: readonly number[]): number {
  if (c === undefined) return rho;
  const log = Math.log(rho);
  if (d === undefined) return rho * (log - 1 - c);
  return rho * (log * log - 2 * log + 2 - (c + d) * (log - 1) + c * d);
}
