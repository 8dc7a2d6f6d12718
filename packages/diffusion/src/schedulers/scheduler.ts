/**
 * A scheduler (sampler) turns the network's answers into the next sample. It is the tables of one run
 * (timesteps, sigmas) and pure functions over them: all that changes during a run is in `SchedulerState`,
 * which is plain data, so that a run can be parked, written out and continued elsewhere.
 *
 * One entry of `timesteps` is one evaluation of the network. Methods with two evaluations a step
 * (Heun, DPM2, DPM++ SDE, 2S) list both.
 */
export interface Scheduler {
  /** One value for each evaluation of the network; not always whole numbers. */
  readonly timesteps: Float64Array;
  /** The noise levels of the run as the reference implementation lists them; empty where the algorithm has none. */
  readonly sigmas: Float64Array;
  /** Evaluations per step, as diffusers counts `order` when a run starts in the middle. */
  readonly order: number;
  /** The standard deviation that the first sample of a whole run has: noise is multiplied by it. */
  readonly initNoiseSigma: number;
  /** Steps that the network was trained with (1000); what fractions of a denoising run are fractions of. 1000 where absent. */
  readonly trainTimesteps?: number;
  /** Set where `draw(from, to)` is asked for increments of one Brownian path over these noise levels (see `brownianNoise`). */
  readonly brownian?: BrownianInterval;
  /** The state before the evaluation `begin` (0 for a whole run). */
  begin(begin?: number): SchedulerState;
  /** `clean + noise` at the level before evaluation `index` (image to image, inpainting). */
  addNoise(clean: Float32Array, noise: Float32Array, index: number): Float32Array;
  /** The sample as the network wants it for evaluation `state.index`; the same array where nothing is to be done. */
  scaleModelInput(sample: Float32Array, state: SchedulerState): Float32Array;
  /**
   * One evaluation's worth of progress.
   * @param output the network's answer after guidance (epsilon, v or sample, by the configuration).
   * @param draw   draws standard normal noise of the sample's size; called only by stochastic methods, in the reference's order.
   *               `from` and `to` are the noise levels between which a Brownian path is asked for (DPM++ SDE); others ignore them.
   */
  step(output: Float32Array, sample: Float32Array, state: SchedulerState, draw: NoiseDraw): SchedulerStep;
}

export interface BrownianInterval {
  /** The smallest noise level above zero, and the largest. */
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** The path's own seed where the configuration sets one (`noise_sampler_seed`); else the picture's seed serves. */
  readonly seed?: number;
}

/** Standard normal noise of the sample's size. */
export type NoiseDraw = (from?: number, to?: number) => Float32Array;

export interface SchedulerStep {
  readonly sample: Float32Array;
  readonly state: SchedulerState;
  /** The algorithm's present estimate of the finished sample, for previews, where it makes one. */
  readonly predictedOriginal?: Float32Array;
}

/** What a run remembers between evaluations. Arrays in `history` have the sample's size. */
export interface SchedulerState {
  /** The evaluation to come, an index into `timesteps`. */
  readonly index: number;
  /** Earlier derivatives, predictions or samples, newest last; what they are is the algorithm's own business. */
  readonly history: readonly Float32Array[];
  /** Small numbers (orders, lower-order counters), by the algorithm's own names. */
  readonly numbers: Readonly<Record<string, number>>;
}

/** Configuration by diffusers' names, as `scheduler_config.json` holds it; unknown keys are ignored. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

export interface SchedulerRun {
  /** Steps asked for (not evaluations); their number where timesteps or sigmas are given. */
  readonly steps: number;
  /** Given timesteps (Align Your Steps) in place of a spacing. */
  readonly timesteps?: readonly number[];
  /** Given sigmas in place of a spacing, falling, the closing one (mostly 0) included; so one more than there are steps. */
  readonly sigmas?: readonly number[];
  /** DDIM and TCD: how much of the noise is renewed at each step. */
  readonly eta?: number;
  /** Whose published Align Your Steps timesteps a name with "AYS" means; SDXL's where absent. */
  readonly family?: "sdxl" | "sd15";
}
