import { entry, eulerStep } from "./arithmetic.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { edmRun } from "./edm.ts";
import { advance } from "./run-tables.ts";

/** Euler's method for networks of Karras et al. 2022 (arXiv 2206.00364, algorithm 2 without churn), as diffusers' `EDMEulerScheduler`. */
export const edmEuler: SchedulerDefinition = {
  className: "EDMEulerScheduler",
  names: { "EDM Euler": {} },
  spacings: [],
  create: (config, run) => {
    const { base, sigmas, predictOriginal } = edmRun(config, run, true);
    return {
      ...base,
      order: 1,
      step(output, sample, state) {
        const sigma = entry(sigmas, state.index);
        const predictedOriginal = predictOriginal(output, sample, sigma);
        return {
          sample: eulerStep(sample, predictedOriginal, sigma, entry(sigmas, state.index + 1)),
          state: advance(state),
          predictedOriginal,
        };
      },
    };
  },
};
