import { weightedSum } from "../../arithmetic.ts";
import { karrasSigmas } from "../../sigmas.ts";
import { type SigmaSampler, stepsOver } from "./algorithm.ts";
import type { ChurnedStep } from "./churn.ts";
import { heunStep } from "./heun.ts";

/** Runs shorter than this have no steps to spare for a restart. */
const FEWEST_STEPS = 20;
const RESTART_FROM = 0.1;
const RESTART_TO = 2;

/**
 * Heun steps that go back once or more from a low to a middle noise level by adding noise (arXiv 2306.14878), with
 * AUTOMATIC1111's choice of levels: runs of 20 steps and more follow Karras' spacing and go back from 0.1 to 2.
 */
export const restart: SigmaSampler = (sigmas, { sNoise }) => {
  const steps = restartSteps(sigmas);
  return {
    evaluations: steps.flatMap(({ sigma, next }, index) => {
      const following = steps[index + 1]?.sigma ?? next;
      const arrive: ChurnedStep["arrive"] = (sample, draw) =>
        following > next ? weightedSum([1, sample], [sNoise * Math.sqrt(following ** 2 - next ** 2), draw()]) : sample;
      return heunStep({ sigmaHat: sigma, next, arrive });
    }),
  };
};

/** All steps in order; where one begins above the end of the one before it, noise is added between them. */
function restartSteps(sigmas: readonly number[]): { readonly sigma: number; readonly next: number }[] {
  const count = sigmas.length - 1;
  if (count < FEWEST_STEPS) return stepsOver(sigmas);
  const times = count >= 36 ? 2 : 1;
  const length = count >= 36 ? Math.floor(count / 4) : 9;
  const levels = [...karrasSigmas(sigmas.at(-2) ?? 0, sigmas[0] ?? 0, count - length * times), 0];
  const low = nearest(levels, RESTART_FROM);
  const high = nearest(levels, RESTART_TO);
  const plain = stepsOver(levels);
  if (low === 0 || high >= low) return plain;
  const again = stepsOver([...karrasSigmas(levels[low] ?? 0, levels[high] ?? 0, length + 1)]);
  return [...plain.slice(0, low), ...Array.from({ length: times }, () => again).flat(), ...plain.slice(low)];
}

function nearest(levels: readonly number[], wanted: number): number {
  return levels.reduce(
    (best, level, index) => (Math.abs(level - wanted) < Math.abs((levels[best] ?? 0) - wanted) ? index : best),
    0,
  );
}
