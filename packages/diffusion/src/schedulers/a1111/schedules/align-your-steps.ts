import { ALIGN_YOUR_STEPS_SIGMAS } from "../../align-your-steps.ts";
import { linspace } from "../../spacing.ts";
import type { Schedule } from "./schedule.ts";

/**
 * The published levels (arXiv 2404.14507), or their log-linear interpolation where another number of levels is asked for.
 * As in AUTOMATIC1111, the closing 0 comes after `n` levels, and a single level is the lowest one.
 */
export const alignYourSteps: Schedule = ({ n, family }) => {
  const levels = ALIGN_YOUR_STEPS_SIGMAS[family];
  if (n === levels.length) return [...levels, 0];
  const logs = levels.map(Math.log).reverse();
  const positions = [...linspace(0, logs.length - 1, n)];
  return [...positions.map((position) => Math.exp(interpolated(logs, position))).reverse(), 0];
};

function interpolated(values: readonly number[], position: number): number {
  const low = Math.min(Math.floor(position), values.length - 2);
  const weight = position - low;
  return (values[low] ?? 0) * (1 - weight) + (values[low + 1] ?? 0) * weight;
}
