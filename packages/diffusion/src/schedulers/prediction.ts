import { clampAll, weightedSum } from "./arithmetic.ts";
import { readChoice, readFlag, readNumber } from "./config.ts";
import type { SchedulerConfig } from "./scheduler.ts";

const PREDICTIONS = ["epsilon", "v_prediction", "sample"] as const;
/** What the network answers: the noise, the velocity of Salimans and Ho 2022 (arXiv 2202.00512), or the finished sample. */
export type Prediction = (typeof PREDICTIONS)[number];

export function readPrediction(config: SchedulerConfig, supported: readonly Prediction[] = PREDICTIONS): Prediction {
  return readChoice(config, "prediction_type", supported, "epsilon");
}

/** How a noised sample is made: `sample = alpha * clean + sigma * noise`. */
export interface Mixture {
  readonly alpha: number;
  readonly sigma: number;
}

/** The mixture of unit variance at a ratio sigma / alpha of noise to signal. */
export function mixtureOfRatio(ratio: number): Mixture {
  const alpha = 1 / Math.sqrt(ratio * ratio + 1);
  return { alpha, sigma: ratio * alpha };
}

/** The mixture of unit variance in which `alphaCumprod` is the signal's share of the variance. */
export function mixtureOfAlpha(alphaCumprod: number): Mixture {
  return { alpha: Math.sqrt(alphaCumprod), sigma: Math.sqrt(1 - alphaCumprod) };
}

/** The finished sample that the answer implies, for samples of unit variance. */
export function predictOriginal(
  prediction: Prediction,
  output: Float32Array,
  sample: Float32Array,
  { alpha, sigma }: Mixture,
): Float32Array {
  if (prediction === "sample") return output;
  if (prediction === "v_prediction") return weightedSum([alpha, sample], [-sigma, output]);
  // Divided last: where no signal is left (alpha 0), infinities of the right sign remain, which clipping makes finite.
  return sample.map((value, i) => (value - sigma * (output[i] ?? 0)) / alpha);
}

/** The noise that the answer implies, for samples of unit variance. */
export function predictNoise(
  prediction: Prediction,
  output: Float32Array,
  sample: Float32Array,
  { alpha, sigma }: Mixture,
): Float32Array {
  if (prediction === "epsilon") return output;
  if (prediction === "sample") return weightedSum([1 / sigma, sample], [-alpha / sigma, output]);
  return weightedSum([alpha, output], [sigma, sample]);
}

/** The finished sample that the answer implies where the sample is `clean + sigma * noise`. */
export function predictOriginalAtSigma(
  prediction: Prediction,
  output: Float32Array,
  sample: Float32Array,
  sigma: number,
): Float32Array {
  if (prediction === "sample") return output;
  if (prediction === "epsilon") return weightedSum([1, sample], [-sigma, output]);
  const variance = sigma * sigma + 1;
  return weightedSum([1 / variance, sample], [-sigma / Math.sqrt(variance), output]);
}

/**
 * What the configuration does to predicted samples: `thresholding` (Saharia et al. 2022, arXiv 2205.11487, section 2.3),
 * else `clip_sample` where the algorithm has it, else nothing.
 */
export function readLimiter(
  config: SchedulerConfig,
  clipDefault: boolean | "absent",
  threshold = true,
): (original: Float32Array) => Float32Array {
  if (threshold && readFlag(config, "thresholding", false)) {
    const ratio = readNumber(config, "dynamic_thresholding_ratio", 0.995, 0, 1);
    const most = readNumber(config, "sample_max_value", 1, 0);
    return (original) => dynamicThreshold(original, ratio, most);
  }
  if (clipDefault === "absent" || !readFlag(config, "clip_sample", clipDefault)) return (original) => original;
  const range = readNumber(config, "clip_sample_range", 1, 0);
  return (original) => clampAll(original, -range, range);
}

function dynamicThreshold(original: Float32Array, ratio: number, most: number): Float32Array {
  const sizes = original.map(Math.abs).sort();
  const position = ratio * (sizes.length - 1);
  const low = sizes[Math.floor(position)] ?? 0;
  const quantile = low + ((sizes[Math.ceil(position)] ?? low) - low) * (position - Math.floor(position));
  // The upper bound wins where it lies below 1, as in torch's clamp.
  const limit = Math.min(Math.max(quantile, 1), most);
  return clampAll(original, -limit, limit).map((value) => value / limit);
}
