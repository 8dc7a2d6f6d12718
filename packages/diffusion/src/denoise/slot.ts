import type { WeightedAdapter } from "../networks/adapter-stack.ts";
import type { RowControl } from "../networks/control-network.ts";
import type { RowConditioning } from "../networks/row.ts";
import type { RandomState } from "../random/random.ts";
import type { Scheduler, SchedulerState } from "../schedulers/scheduler.ts";
import type { NoiseStream } from "./noise-stream.ts";

/**
 * One picture being drawn: everything that its steps need, and nothing of its neighbours'. The definition is fixed; what changes
 * from step to step is `SlotState`, plain data that can be written out and read back (`slot-state.ts`).
 */
export interface SlotDefinition {
  /** Size in latents. */
  readonly height: number;
  readonly width: number;
  readonly scheduler: Scheduler;
  /** The first evaluation: 0, or later where a picture was given. */
  readonly begin: number;
  /** The evaluation before which the slot is finished: `timesteps.length`, or less for a base that hands over to a refiner. */
  readonly end: number;
  readonly guidance: Guidance;
  readonly positive: RowConditioning;
  /** Undefined without guidance: one row a step instead of two. */
  readonly negative: RowConditioning | undefined;
  readonly adapters: readonly WeightedAdapter[];
  readonly controls: readonly SlotControl[];
  readonly inpainting: Inpainting | undefined;
  readonly noise: NoiseStream;
}

export interface Guidance {
  /** Classifier-free guidance scale (Ho and Salimans, arXiv 2207.12598); 1 is none. */
  readonly scale: number;
  /** How far the guided prediction's contrast is brought back to the unguided one's (Lin et al., arXiv 2305.08891, section 3.4). */
  readonly rescale: number;
}

/** A ControlNet's part in a picture. */
export interface SlotControl extends RowControl {
  /** It acts on the positive half of guidance alone. */
  readonly positiveOnly?: boolean;
  /** The part of the run in which it acts, as fractions. */
  readonly start: number;
  readonly end: number;
}

/** What inpainting adds to a slot. */
export interface Inpainting {
  /** [1, height, width]: 1 where the picture is painted anew. */
  readonly mask: Float32Array;
  /**
   * The rest is put back from these latents: after every step, noised with `noise`; or, where the scheduler keeps the rest itself and there
   * is no `noise`, after the last. Undefined: nothing is put back, as in diffusers' networks of 9 channels.
   */
  readonly keep: { readonly latents: Float32Array; readonly noise: Float32Array | undefined } | undefined;
  /** 9-channel networks: the latents of the picture with the masked part blanked, shown to the network beside the mask. */
  readonly maskedLatents: Float32Array | undefined;
}

/** What a slot has come to. */
export interface SlotState {
  readonly latents: Float32Array;
  readonly scheduler: SchedulerState;
  /** Where the stream of noise stands; undefined for streams without memory. */
  readonly random: RandomState | undefined;
}

/** A slot with its present state. */
export class Slot {
  readonly definition: SlotDefinition;
  latents: Float32Array;
  scheduler: SchedulerState;

  constructor(definition: SlotDefinition, state: Omit<SlotState, "random">) {
    this.definition = definition;
    this.latents = state.latents;
    this.scheduler = state.scheduler;
  }

  get done(): boolean {
    return this.scheduler.index >= this.definition.end;
  }

  /** Rows that the slot takes in a call of the UNet. */
  get rows(): number {
    return this.definition.negative ? 2 : 1;
  }

  /** A copy of the state: `resumeSlot` goes on from it later, with the noise that comes next. */
  save(): SlotState {
    const { index, history, numbers } = this.scheduler;
    return {
      latents: this.latents.slice(),
      scheduler: { index, history: history.map((array) => array.slice()), numbers: { ...numbers } },
      random: this.definition.noise.state(),
    };
  }
}
