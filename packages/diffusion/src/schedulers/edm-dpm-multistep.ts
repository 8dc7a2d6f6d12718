import { entry } from "./arithmetic.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { multistepSolver } from "./dpm-multistep.ts";
import { type PathPoint, readDpmAlgorithm } from "./dpm-solver.ts";
import { edmRun } from "./edm.ts";
import { readLimiter } from "./prediction.ts";

/** DPM-Solver++ as a multistep method for networks of Karras et al. 2022 (arXiv 2206.00364), as diffusers' `EDMDPMSolverMultistepScheduler`. */
export const edmDpmMultistep: SchedulerDefinition = {
  className: "EDMDPMSolverMultistepScheduler",
  names: { "EDM DPM++ 2M": {} },
  spacings: [],
  create: (config, run) => {
    const { base, sigmas, predictOriginal } = edmRun(config, run, false);
    const algorithm = readDpmAlgorithm(config, ["dpmsolver++", "sde-dpmsolver++"]);
    const limit = readLimiter(config, "absent");
    const solver = multistepSolver(config, algorithm, sigmas, undiminished);
    return {
      ...base,
      order: 1,
      step(output, sample, state, draw) {
        const predictedOriginal = limit(predictOriginal(output, sample, entry(sigmas, state.index)));
        return { ...solver(predictedOriginal, sample, state, draw), predictedOriginal };
      },
    };
  },
};

/** The signal keeps its size along this path. */
function undiminished(sigma: number): PathPoint {
  return { alpha: 1, sigma, lambda: -Math.log(sigma) };
}
