import type { EngineNews } from "../engine/supervisor.ts";
import type { JobProgress } from "../events/bus.ts";
import type { JobTimings } from "../records/schema.ts";

/** Follows one attempt: turns the engine's news into progress with an estimate, and keeps the times of its phases. */
export class AttemptClock {
  readonly #created: number;
  readonly #started = Date.now();
  #denoisingSince: number | undefined;
  #lastStepAt: number | undefined;
  #firstStep = 0;

  constructor(createdAt: Date) {
    this.#created = createdAt.getTime();
  }

  /** The progress to show, and what the last step took once there are two. */
  note(news: Extract<EngineNews, { type: "progress" }>): { progress: JobProgress; stepSeconds: number | undefined } {
    const now = Date.now();
    const stepSeconds =
      news.phase === "denoising" && this.#lastStepAt !== undefined ? (now - this.#lastStepAt) / 1000 : undefined;
    if (news.phase === "denoising") {
      if (this.#denoisingSince === undefined) {
        this.#denoisingSince = now;
        this.#firstStep = news.step;
      }
      this.#lastStepAt = now;
    }
    const done = news.step - this.#firstStep;
    const eta =
      this.#denoisingSince === undefined || done < 1
        ? null
        : ((now - this.#denoisingSince) / 1000 / done) * (news.totalSteps - news.step);
    const progress: JobProgress = {
      step: news.step,
      total_steps: news.totalSteps,
      percent: news.totalSteps === 0 ? 0 : Math.min(100, Math.round((1000 * news.step) / news.totalSteps) / 10),
      eta_seconds: eta === null ? null : Math.round(eta * 100) / 100,
      phase: news.phase,
    };
    return { progress, stepSeconds };
  }

  timings(): JobTimings {
    const now = Date.now();
    const denoisingSince = this.#denoisingSince ?? this.#started;
    const seconds = (milliseconds: number) => Math.max(0, Math.round(milliseconds) / 1000);
    return {
      queue_seconds: seconds(this.#started - this.#created),
      load_seconds: seconds(denoisingSince - this.#started),
      denoise_seconds: seconds((this.#lastStepAt ?? now) - denoisingSince),
      total_seconds: seconds(now - this.#created),
    };
  }
}
