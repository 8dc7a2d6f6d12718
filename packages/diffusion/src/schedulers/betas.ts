import { badValue, readChoice, readFlag, readNumber, readNumbers, readTrainTimesteps } from "./config.ts";
import type { SchedulerConfig } from "./scheduler.ts";

const BETA_SCHEDULES = ["linear", "scaled_linear", "squaredcos_cap_v2", "exp", "laplace", "sigmoid"] as const;
type BetaSchedule = (typeof BETA_SCHEDULES)[number];

/** No step may take away more than this share of the signal's variance (Nichol and Dhariwal 2021, arXiv 2102.09672). */
const MAX_BETA = 0.999;

/** What stands for zero terminal signal in schedulers that divide by it. */
const SMALLEST_ALPHA = 2 ** -24;
/** The sigma of that signal, which float16 still holds. The exact root lies on the edge between two float32 numbers; torch takes this one. */
const LARGEST_SIGMA = 4096;

/** Defaults that differ between diffusers' classes. */
export interface BetaDefaults {
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: BetaSchedule;
  /** `ignored`: the class has no `rescale_betas_zero_snr`. `clamped`: the last alpha becomes 2^-24 in place of 0. */
  readonly zeroTerminal: "ignored" | "exact" | "clamped";
}

/** Defaults of the classes that come from DDPM. */
export const DDPM_BETAS: BetaDefaults = { betaStart: 0.0001, betaEnd: 0.02, betaSchedule: "linear", zeroTerminal: "exact" };
/** Defaults of the classes that come from k-diffusion and ask the network twice a step. */
export const LATENT_BETAS: BetaDefaults = { betaStart: 0.00085, betaEnd: 0.012, betaSchedule: "linear", zeroTerminal: "ignored" };

/** How much signal is left at each training timestep. Every number has been rounded to float32, as diffusers' tables are. */
export interface NoiseTable {
  /** Training timesteps. */
  readonly length: number;
  /** Cumulative products of 1 - beta, falling. */
  readonly alphasCumprod: Float64Array;
  /** sqrt((1 - alpha) / alpha), rising. */
  readonly sigmas: Float64Array;
  readonly logSigmas: Float64Array;
}

/**
 * The table that a configuration describes by `beta_start`, `beta_end`, `beta_schedule` or `trained_betas`,
 * with zero terminal SNR where `rescale_betas_zero_snr` asks for it (Lin et al. 2023, arXiv 2305.08891, algorithm 1).
 * @throws KilnError `invalid_request` for values out of range and unknown schedules
 */
export function noiseTable(config: SchedulerConfig, defaults: BetaDefaults): NoiseTable {
  let betas = readBetas(config, defaults);
  const rescaled = defaults.zeroTerminal !== "ignored" && readFlag(config, "rescale_betas_zero_snr", false);
  if (rescaled) betas = rescaleZeroTerminalSnr(betas);
  const alphasCumprod = cumulativeAlphas(betas);
  const clamped = rescaled && defaults.zeroTerminal === "clamped";
  if (clamped) alphasCumprod[alphasCumprod.length - 1] = SMALLEST_ALPHA;
  const sigmas = alphasCumprod.map((alpha) => Math.fround(Math.sqrt(Math.fround(Math.fround(1 - alpha) / alpha))));
  if (clamped) sigmas[sigmas.length - 1] = LARGEST_SIGMA;
  return { length: betas.length, alphasCumprod, sigmas, logSigmas: sigmas.map((sigma) => Math.fround(Math.log(sigma))) };
}

function readBetas(config: SchedulerConfig, defaults: BetaDefaults): Float64Array {
  const trained = readNumbers(config, "trained_betas");
  if (trained !== undefined) {
    if (trained.length < 2 || !trained.every((beta) => beta > 0 && beta < 1))
      throw badValue("trained_betas", trained, "at least two numbers between 0 and 1");
    return Float64Array.from(trained, Math.fround);
  }
  const count = readTrainTimesteps(config);
  const start = readNumber(config, "beta_start", defaults.betaStart, Number.MIN_VALUE, MAX_BETA);
  const end = readNumber(config, "beta_end", defaults.betaEnd, Number.MIN_VALUE, MAX_BETA);
  const schedule = readChoice(config, "beta_schedule", BETA_SCHEDULES, defaults.betaSchedule);
  switch (schedule) {
    case "linear":
      return linspaceFloat32(start, end, count);
    case "scaled_linear":
      return linspaceFloat32(Math.sqrt(start), Math.sqrt(end), count).map((root) => Math.fround(root * root));
    case "sigmoid":
      return linspaceFloat32(-6, 6, count).map((x) =>
        Math.fround(Math.fround(Math.fround(1 / (1 + Math.exp(-x))) * (end - start)) + start),
      );
    default:
      return betasFromSignal(SIGNALS[schedule], count);
  }
}

/** The share of the signal's variance that is left at a time from 0 to 1. */
const SIGNALS = {
  squaredcos_cap_v2: (time: number): number => Math.cos((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2,
  exp: (time: number): number => Math.exp(-12 * time),
  laplace: (time: number): number => {
    const sign = time <= 0.5 ? 1 : -1;
    const ratio = Math.exp(-0.5 * sign * Math.log(1 - 2 * Math.abs(0.5 - time) + 1e-6));
    return Math.sqrt(ratio / (1 + ratio));
  },
} as const;

function betasFromSignal(signal: (time: number) => number, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) =>
    Math.fround(Math.min(1 - signal((i + 1) / count) / signal(i / count), MAX_BETA)),
  );
}

function rescaleZeroTerminalSnr(betas: Float64Array): Float64Array {
  const roots = cumulativeAlphas(betas).map((alpha) => Math.fround(Math.sqrt(alpha)));
  const first = roots[0] ?? 1;
  const last = roots[roots.length - 1] ?? 0;
  const scale = Math.fround(first / Math.fround(first - last));
  const products = roots.map((root) => Math.fround(Math.fround(Math.fround(root - last) * scale) ** 2));
  return products.map((product, i) => Math.fround(1 - (i === 0 ? product : Math.fround(product / (products[i - 1] ?? 1)))));
}

/** The running product is kept in float64 and each entry rounded, as torch's `cumprod` does on a CPU. */
function cumulativeAlphas(betas: Float64Array): Float64Array {
  let product = 1;
  return betas.map((beta) => {
    product *= Math.fround(1 - beta);
    return Math.fround(product);
  });
}

/** torch's `linspace` in float32: counted from the nearer end, each entry rounded once. */
export function linspaceFloat32(start: number, end: number, count: number): Float64Array {
  const [from, to] = [Math.fround(start), Math.fround(end)];
  if (count === 1) return Float64Array.of(from);
  const step = Math.fround(Math.fround(to - from) / (count - 1));
  return Float64Array.from({ length: count }, (_, i) =>
    Math.fround(i < count / 2 ? from + step * i : to - step * (count - 1 - i)),
  );
}
