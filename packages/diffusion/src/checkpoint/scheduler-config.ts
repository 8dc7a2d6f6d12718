import type { Prediction } from "../schedulers/prediction.ts";
import type { Family } from "./family.ts";
import type { SchedulerConfig } from "./model-configs.ts";

/** What the noise schedule of every Stable Diffusion is ("High-Resolution Image Synthesis", arXiv 2112.10752, as its published configs have it). */
const BETAS = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  trained_betas: null,
};

/**
 * The scheduler of a single file, which brings none: the one in the published folder of its family. A checkpoint with zero
 * terminal SNR is sampled from the last timestep on, so its spacing is `trailing` (arXiv 2305.08891, section 3.3).
 */
export function defaultScheduler(family: Family, prediction: Prediction, zeroTerminalSnr: boolean): SchedulerConfig {
  const common = {
    ...BETAS,
    prediction_type: prediction,
    steps_offset: 1,
    timestep_spacing: zeroTerminalSnr ? "trailing" : "leading",
  };
  if (family === "sd15" && !zeroTerminalSnr) {
    return { _class_name: "PNDMScheduler", ...common, skip_prk_steps: true, set_alpha_to_one: false };
  }
  return {
    _class_name: "EulerDiscreteScheduler",
    ...common,
    rescale_betas_zero_snr: zeroTerminalSnr,
    interpolation_type: "linear",
    use_karras_sigmas: false,
    final_sigmas_type: "zero",
    timestep_type: "discrete",
  };
}

/** The prediction that a scheduler's configuration names; diffusers' default is epsilon. */
export function predictionOf(config: SchedulerConfig): Prediction {
  const type = config.prediction_type;
  return type === "v_prediction" || type === "sample" ? type : "epsilon";
}

/** What a single file says by its metadata (ModelSpec) and by the empty marker tensors that v-prediction checkpoints carry. */
export function predictionOfFile(metadata: ReadonlyMap<string, string>, markers: ReadonlySet<string>): Prediction {
  if (markers.has("v_pred")) return "v_prediction";
  const word =
    metadata.get("modelspec.prediction_type") ?? metadata.get("modelspec.predict_key") ?? metadata.get("ss_v_parameterization");
  return word !== undefined && /^(v|v_prediction|v-prediction|vpred|true)$/i.test(word.trim()) ? "v_prediction" : "epsilon";
}

/** Zero terminal SNR: by marker tensor, or by the trainer's own metadata. */
export function zeroTerminalSnrOfFile(metadata: ReadonlyMap<string, string>, markers: ReadonlySet<string>): boolean {
  return markers.has("ztsnr") || /^true$/i.test(metadata.get("ss_zero_terminal_snr") ?? "");
}
