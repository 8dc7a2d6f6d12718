import { KilnError } from "../errors.ts";
import type { SchedulerConfig } from "./scheduler.ts";

/** Steps beyond the network's own are of no use; 1000 also bounds the tables of a run. */
export const MAX_STEPS = 1000;
/** Real networks have 1000; the tables have as many entries. */
const MAX_TRAIN_TIMESTEPS = 10_000;

/**
 * Readers of a scheduler's configuration. Each takes the default where the configuration has none (or null), and throws KilnError
 * `invalid_request` that names the key for a value of another kind or out of range.
 */

/** The number under `key`. */
export function readNumber(config: SchedulerConfig, key: string, fallback: number, low = -Infinity, high = Infinity): number {
  const value = config[key] ?? fallback;
  if (typeof value === "number" && value >= low && value <= high) return value;
  throw badValue(key, value, Number.isFinite(low) || Number.isFinite(high) ? `a number from ${low} to ${high}` : "a number");
}

/** The number under `key`, or undefined where the configuration has none (or null). */
export function readOptionalNumber(config: SchedulerConfig, key: string, low = -Infinity, high = Infinity): number | undefined {
  return config[key] === undefined || config[key] === null ? undefined : readNumber(config, key, 0, low, high);
}

export function readInteger(config: SchedulerConfig, key: string, fallback: number, low: number, high: number): number {
  const value = readNumber(config, key, fallback, low, high);
  if (!Number.isInteger(value)) throw badValue(key, value, `a whole number from ${low} to ${high}`);
  return value;
}

export function readFlag(config: SchedulerConfig, key: string, fallback: boolean): boolean {
  const value = config[key] ?? fallback;
  if (typeof value !== "boolean") throw badValue(key, value, "true or false");
  return value;
}

/** One of the words allowed. `renamed` are words of sibling algorithms that stand for one of them, as diffusers takes them. */
export function readChoice<T extends string>(
  config: SchedulerConfig,
  key: string,
  allowed: readonly T[],
  fallback: T,
  renamed: Readonly<Record<string, T>> = {},
): T {
  const value = config[key] ?? fallback;
  const word = typeof value === "string" ? (renamed[value] ?? value) : value;
  const known = allowed.find((candidate) => candidate === word);
  if (known === undefined) throw badValue(key, value, `one of ${allowed.join(", ")}`);
  return known;
}

export function readNumbers(config: SchedulerConfig, key: string): readonly number[] | undefined {
  const value = config[key];
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value) && value.every((entry): entry is number => typeof entry === "number" && Number.isFinite(entry)))
    return value;
  throw badValue(key, value, "a list of numbers");
}

export function readTrainTimesteps(config: SchedulerConfig): number {
  return readInteger(config, "num_train_timesteps", 1000, 2, MAX_TRAIN_TIMESTEPS);
}

export function badValue(key: string, value: unknown, wanted: string): KilnError {
  const shown = JSON.stringify(value)?.slice(0, 60) ?? String(value);
  return new KilnError("invalid_request", `The scheduler's ${key} must be ${wanted}, not ${shown}.`, { subject: key });
}
