import type { CheckpointConfigs } from "./checkpoint-configs.ts";
import type { SchedulerConfig } from "./model-configs.ts";
import { readTensor } from "./read-tensor.ts";
import type { Weights } from "./tensor-view.ts";

/** Playground v2.5's scheduler, as in its published folder. */
const PLAYGROUND: SchedulerConfig = {
  _class_name: "EDMDPMSolverMultistepScheduler",
  algorithm_type: "dpmsolver++",
  euler_at_final: false,
  final_sigmas_type: "zero",
  lower_order_final: true,
  num_train_timesteps: 1000,
  prediction_type: "epsilon",
  rho: 7,
  sigma_data: 0.5,
  sigma_max: 80,
  sigma_min: 0.002,
  solver_order: 2,
  solver_type: "midpoint",
};

/** Playground v2.5's latents are scaled by this after they are brought to mean 0 and standard deviation 1. */
const PLAYGROUND_SCALING = 0.5;

/** CosXL: v-prediction with EDM's preconditioning; the noise levels are in the file. */
const COSXL: SchedulerConfig = {
  _class_name: "EDMEulerScheduler",
  num_train_timesteps: 1000,
  prediction_type: "v_prediction",
  sigma_data: 1,
  sigma_schedule: "exponential",
};

/**
 * SDXL's architecture trained in the way of EDM (arXiv 2206.00364) is marked by tensors of its own: Playground v2.5 by its
 * latents' statistics, CosXL by its range of noise levels. Any other file gets its configs back as they came.
 */
export async function withEdm(configs: CheckpointConfigs, tensors: Weights): Promise<CheckpointConfigs> {
  const mean = await numbersOf(tensors, "edm_mean");
  const std = await numbersOf(tensors, "edm_std");
  const channels = configs.vae.latentChannels;
  if (mean?.length === channels && std?.length === channels) {
    const vae = { ...configs.vae, scalingFactor: PLAYGROUND_SCALING, latentsMean: mean, latentsStd: std };
    return { ...configs, vae, scheduler: PLAYGROUND };
  }
  const [sigmaMax] = (await numbersOf(tensors, "edm_vpred.sigma_max")) ?? [];
  const [sigmaMin] = (await numbersOf(tensors, "edm_vpred.sigma_min")) ?? [];
  if (sigmaMax === undefined || sigmaMin === undefined) return configs;
  return { ...configs, scheduler: { ...COSXL, sigma_max: sigmaMax, sigma_min: sigmaMin } };
}

/** A marker holds a handful of numbers; a large tensor under its name is none. */
const MAX_MARKER_BYTES = 1024;

async function numbersOf(tensors: Weights, name: string): Promise<readonly number[] | undefined> {
  const view = tensors.get(name);
  return view === undefined || view.byteLength > MAX_MARKER_BYTES ? undefined : [...(await readTensor(view))];
}
