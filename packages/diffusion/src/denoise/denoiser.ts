import { setImmediate as nextTurn } from "node:timers/promises";
import type { Adapter } from "../adapters/adapter.ts";
import { KilnError } from "../errors.ts";
import { AdapterStack } from "../networks/adapter-stack.ts";
import type { NoisePredictor } from "../networks/noise-predictor.ts";
import { type Candidate, fairPolicy, type Policy } from "./policy.ts";
import { raceWithTime } from "./race-with-time.ts";
import type { Slot } from "./slot.ts";
import { step } from "./step.ts";

export interface DenoiserOptions {
  /** Rows in one call of the UNet at most; a picture with guidance takes two. */
  readonly maxRows?: number;
  readonly policy?: Policy;
}

/** Two pictures with guidance: on a CPU more gain nothing, and memory grows with each. */
export const DEFAULT_MAX_ROWS = 4;

export interface SubmitOptions {
  /** Higher goes first. Default 0. */
  readonly priority?: number;
  /** Takes the slot out at the next step. */
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((progress: StepProgress) => void) | undefined;
}

export interface StepProgress {
  /** Evaluations of the network done, and to do in all. */
  readonly step: number;
  readonly totalSteps: number;
  /** [4, height, width], as they stand. Not to be written to. */
  readonly latents: Float32Array;
  /** The scheduler's estimate of the finished latents, where it makes one. */
  readonly predictedOriginal: Float32Array | undefined;
}

/**
 * The denoising loop of one checkpoint. Slots join and leave at any step; every turn of the loop makes one step
 * for as many of them as share a call of the UNet, whatever their prompts, schedulers, steps and seeds.
 */
export class Denoiser {
  readonly #predictor: NoisePredictor;
  readonly #maxRows: number;
  readonly #policy: Policy;
  readonly #entries = new Set<Entry>();
  readonly #expected = new Set<Expected>();
  #calls = 0;
  #stepMilliseconds = 0;
  #running = false;
  #stack: { key: string; stack: AdapterStack } | undefined;

  constructor(predictor: NoisePredictor, { maxRows = DEFAULT_MAX_ROWS, policy = fairPolicy }: DenoiserOptions = {}) {
    this.#predictor = predictor;
    this.#maxRows = maxRows;
    this.#policy = policy;
  }

  /** Slots that are not finished. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Draws a slot to its end; it joins at the next step. Resolves when `slot.latents` are final.
   * @throws KilnError cancelled, once the signal is aborted; the slot keeps the state that it had reached.
   */
  submit(slot: Slot, { priority = 0, signal, onStep }: SubmitOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#entries.add({ slot, priority, lastCall: 0, signal, onStep, resolve, reject });
      if (!this.#running) void this.#loop();
    });
  }

  /**
   * Says that a slot is being prepared. When its priority is above that of all slots of the next step, that step waits for it,
   * for as long as a step takes at most: a prompt is encoded in a fraction of the step that it would otherwise miss.
   * @returns what to call once the slot has been submitted, or never will be
   */
  expect(priority: number): () => void {
    let come = () => {};
    const arrival = new Promise<void>((resolve) => {
      come = resolve;
    });
    const expected: Expected = { priority, arrival, awaitedSince: undefined };
    this.#expected.add(expected);
    return () => {
      this.#expected.delete(expected);
      come();
    };
  }

  /** Takes a slot out before its next step; its `submit` is rejected as cancelled. Submit it again to go on. */
  park(slot: Slot): void {
    for (const entry of this.#entries) if (entry.slot === slot) this.#finish(entry, cancelled());
  }

  async #loop(): Promise<void> {
    this.#running = true;
    while (this.#entries.size > 0) {
      await nextTurn(); // lets new slots, aborts and timers in between steps
      this.#sweep();
      const chosen = this.#policy([...this.#entries], this.#maxRows);
      if (chosen.length === 0 || (await this.#waitForMoreUrgent(chosen))) continue;
      const started = performance.now();
      await this.#step(chosen.filter(isEntry));
      this.#stepMilliseconds = performance.now() - started;
    }
    this.#running = false;
  }

  /** @returns whether there was somebody to wait for, so that the choice is to be made anew */
  async #waitForMoreUrgent(chosen: readonly Candidate[]): Promise<boolean> {
    const highest = Math.max(...chosen.map(({ priority }) => priority));
    for (const expected of this.#expected) {
      if (expected.priority <= highest) continue;
      expected.awaitedSince ??= performance.now();
      const left = expected.awaitedSince + this.#stepMilliseconds - performance.now();
      if (left <= 0) continue;
      await raceWithTime(expected.arrival, left);
      return true;
    }
    return false;
  }

  /** Lets go of slots that are finished before they start, or no longer wanted. */
  #sweep(): void {
    for (const entry of this.#entries) {
      if (entry.signal?.aborted) this.#finish(entry, cancelled());
      else if (entry.slot.done) this.#finish(entry);
    }
  }

  async #step(chosen: readonly Entry[]): Promise<void> {
    const slots = chosen.map((entry) => entry.slot);
    this.#calls++;
    try {
      const estimates = await step(this.#predictor, slots, this.#stackFor(slots));
      for (const [i, entry] of chosen.entries()) {
        entry.lastCall = this.#calls;
        const { begin, end } = entry.slot.definition;
        entry.onStep?.({
          step: entry.slot.scheduler.index - begin,
          totalSteps: end - begin,
          latents: entry.slot.latents,
          predictedOriginal: estimates[i],
        });
        if (entry.slot.done) this.#finish(entry);
      }
    } catch (error) {
      await this.#fail(chosen, error);
    }
  }

  /** One slot's error is its own: after a call that failed, each slot of it is tried alone, and only those that fail again end. */
  async #fail(chosen: readonly Entry[], error: unknown): Promise<void> {
    const [only, ...others] = chosen;
    if (only && others.length === 0) return this.#finish(only, error);
    for (const entry of chosen) if (this.#entries.has(entry)) await this.#step([entry]);
  }

  #finish(entry: Entry, error?: unknown): void {
    if (!this.#entries.delete(entry)) return;
    if (error === undefined) entry.resolve();
    else entry.reject(error);
  }

  /** The adapters of these slots side by side; kept from step to step while the slots' adapters stay the same. */
  #stackFor(slots: readonly Slot[]): AdapterStack | undefined {
    const adapters = new Set<Adapter>(slots.flatMap((slot) => slot.definition.adapters.map(({ adapter }) => adapter)));
    if (adapters.size === 0) return undefined;
    const sorted = [...adapters].sort((a, b) => (a.path < b.path ? -1 : 1));
    const key = sorted.map((adapter) => adapter.path).join("\n");
    if (this.#stack?.key !== key) this.#stack = { key, stack: new AdapterStack("unet", sorted) };
    return this.#stack.stack;
  }
}

/** A slot that is being prepared. */
interface Expected {
  readonly priority: number;
  readonly arrival: Promise<void>;
  /** When a step first waited for it. */
  awaitedSince: number | undefined;
}

interface Entry extends Candidate {
  lastCall: number;
  readonly signal: AbortSignal | undefined;
  readonly onStep: ((progress: StepProgress) => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What a policy returns are the entries that it was given. */
function isEntry(candidate: Candidate): candidate is Entry {
  return "resolve" in candidate;
}

function cancelled(): KilnError {
  return new KilnError("cancelled", "The picture was cancelled.");
}
