import type { OnnxRuntime, SessionSettings } from "../onnxruntime-c/onnx-runtime.ts";
import type { DeviceMemory } from "./device-memory.ts";
import type { KernelOpsMaker } from "./kernel-ops.ts";
import { WeightStore } from "./weight-store.ts";

export interface DeviceParts {
  readonly runtime: OnnxRuntime;
  readonly memory: DeviceMemory;
  readonly ops: KernelOpsMaker;
  /** Settings of a session, with its runs captured as CUDA graphs or without. */
  readonly settings: (captures: boolean) => SessionSettings;
  /** Whether runs are captured. */
  readonly captures: boolean;
  /** Sessions for different sizes that one network keeps. */
  readonly maxSessions: number;
  /** Where profiles begin, where every op is timed. */
  readonly profile?: string | undefined;
  readonly log: (message: string) => void;
}

/** A network with sessions that can be made again. */
export interface SessionHolder {
  dropSessions(): number;
}

/** What all networks of one device share: its memory, its weights, and what has been learned about it. */
export class Device {
  readonly runtime: OnnxRuntime;
  readonly memory: DeviceMemory;
  readonly ops: KernelOpsMaker;
  readonly settings: (captures: boolean) => SessionSettings;
  readonly maxSessions: number;
  readonly profile: string | undefined;
  readonly log: (message: string) => void;
  readonly weights: WeightStore;
  #captures: boolean;
  readonly #networks = new Set<SessionHolder>();
  /** A device runs one thing at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ runtime, memory, ops, settings, captures, maxSessions, profile, log }: DeviceParts) {
    this.runtime = runtime;
    this.memory = memory;
    this.ops = ops;
    this.settings = settings;
    this.maxSessions = maxSessions;
    this.profile = profile;
    this.log = log;
    this.#captures = captures;
    this.weights = new WeightStore(runtime, memory);
  }

  get capturesGraphs(): boolean {
    return this.#captures;
  }

  giveUpCapturing(why: unknown): void {
    if (this.#captures)
      this.log(
        `CUDA graphs are off from here on, because one could not be captured: ${why instanceof Error ? why.message : why}`,
      );
    this.#captures = false;
  }

  remember(network: SessionHolder): void {
    this.#networks.add(network);
  }

  forget(network: SessionHolder): void {
    this.#networks.delete(network);
  }

  /** Gives back what all sessions take beside the weights that others use. None may be running. @returns how many there were. */
  dropSessions(): number {
    let count = 0;
    for (const network of this.#networks) count += network.dropSessions();
    if (count > 0)
      this.log(`The device's memory was used up: ${count} sessions were let go, and are made again as they are needed.`);
    return count;
  }

  /** Does some work when all that was asked for before is done. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
