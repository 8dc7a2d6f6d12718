import { entry, weightedSum } from "./arithmetic.ts";
import { DDPM_BETAS, noiseTable } from "./betas.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { discreteSigmas } from "./discrete-sigmas.ts";
import { predictOriginalAtSigma, readPrediction } from "./prediction.ts";
import { advance, sigmaSpace, sigmaSpaceSpacing } from "./run-tables.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { closedSigmas } from "./sigmas.ts";
import { refuseGiven } from "./spacing.ts";

/** Derivatives that a step looks back on, its own included. */
const MAX_ORDER = 4;

/** Points and weights of Gauss and Legendre's rule on -1..1, exact for the cubics that are integrated here. */
const QUADRATURE = [
  [-Math.sqrt(3 / 5), 5 / 9],
  [0, 8 / 9],
  [Math.sqrt(3 / 5), 5 / 9],
] as const;

/** The linear multistep method (Adams and Bashforth's, over sigma; k-diffusion's `sample_lms`), as diffusers' `LMSDiscreteScheduler`. */
export const lms: SchedulerDefinition = {
  className: "LMSDiscreteScheduler",
  names: { LMS: {} },
  spacings: ["Karras", "Exponential", "Beta", "SGM Uniform"],
  create: createLms,
};

/** `history`: up to three earlier derivatives, newest last. */
function createLms(config: SchedulerConfig, run: SchedulerRun): Scheduler {
  refuseGiven(run, "timesteps", "sigmas");
  const table = noiseTable(config, { ...DDPM_BETAS, zeroTerminal: "ignored" });
  const prediction = readPrediction(config);
  const spaced = discreteSigmas(config, run, table, ["karras"]);
  const sigmas = closedSigmas(spaced.sigmas, 0);
  return {
    ...sigmaSpace(spaced.timesteps.map(Math.fround), sigmas, sigmaSpaceSpacing(config), table.length),
    order: 1,
    step(output, sample, state) {
      const sigma = entry(sigmas, state.index);
      const predictedOriginal = predictOriginalAtSigma(prediction, output, sample, sigma);
      const derivatives = [...state.history, weightedSum([1 / sigma, sample], [-1 / sigma, predictedOriginal])].slice(-MAX_ORDER);
      // A run that begins in the middle has fewer derivatives than its order; diffusers leaves the missing ones out.
      const order = Math.min(state.index + 1, MAX_ORDER);
      const newestFirst = [...derivatives].reverse().slice(0, order);
      const terms = newestFirst.map((derivative, back) => [coefficient(sigmas, state.index, back, order), derivative] as const);
      return {
        sample: weightedSum([1, sample], ...terms),
        state: advance(state, derivatives.slice(1 - MAX_ORDER)),
        predictedOriginal,
      };
    },
  };
}

/** The integral over the step of the Lagrange polynomial that is 1 at the level `back` steps ago and 0 at the other levels. */
function coefficient(sigmas: Float64Array, index: number, back: number, order: number): number {
  const [from, to] = [entry(sigmas, index), entry(sigmas, index + 1)];
  const own = entry(sigmas, index - back);
  let sum = 0;
  for (const [point, weight] of QUADRATURE) {
    const at = (from + to + point * (to - from)) / 2;
    let product = weight;
    for (let k = 0; k < order; k++) if (k !== back) product *= (at - entry(sigmas, index - k)) / (own - entry(sigmas, index - k));
    sum += product;
  }
  return (sum * (to - from)) / 2;
}
