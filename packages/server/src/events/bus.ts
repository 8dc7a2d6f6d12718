import type { EnginePhase } from "../engine/picture-engine.ts";

/** What the parts of the service tell one another while jobs run. Lost news is no harm: the records hold the truth. */
export type BusEvent =
  | { type: "job"; job: string; owner: string }
  | { type: "progress"; job: string; owner: string; progress: JobProgress }
  | { type: "preview"; job: string; owner: string; index: number; image: string }
  | { type: "cancel"; job: string }
  | { type: "model"; action: "load" | "unload"; model: string }
  /** What is installed has changed. */
  | { type: "catalogue" };

export interface JobProgress {
  step: number;
  total_steps: number;
  percent: number;
  eta_seconds: number | null;
  phase: EnginePhase;
}

export interface EventBus {
  publish(event: BusEvent): void;
  /** Calls the listener for each event, from whichever process it comes. Returns what ends it. */
  subscribe(listener: (event: BusEvent) => void): () => void;
  close(): Promise<void>;
}

/** A bus within one process. */
export class LocalBus implements EventBus {
  readonly #listeners = new Set<(event: BusEvent) => void>();

  publish(event: BusEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  subscribe(listener: (event: BusEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}
