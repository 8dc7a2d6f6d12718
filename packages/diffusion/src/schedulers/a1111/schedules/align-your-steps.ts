import { linspace } from "../../spacing.ts";
import type { Schedule } from "./schedule.ts";

/** The published levels for 10 steps (arXiv:2404.14507; research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html). */
const LEVELS = {
  sdxl: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029],
  sd15: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
} as const;

/**
 * The published levels, or their log-linear interpolation where another number of levels is asked for.
 * As in AUTOMATIC1111, the closing 0 comes after `n` levels, and a single level is the lowest one.
 */
export const alignYourSteps: Schedule = ({ n, family }) => {
  const levels = LEVELS[family];
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
