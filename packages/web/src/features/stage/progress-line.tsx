import type { Job, Progress } from "../../api/types.ts";
import { progressWords } from "./progress-words.ts";

interface ProgressLineProps {
  readonly job: Job;
  readonly progress: Progress | undefined;
}

export function ProgressLine({ job, progress }: ProgressLineProps) {
  const percent = Math.round(progress?.percent ?? 0);
  const words = progressWords(job, progress);
  // Before the steps nothing can be measured; after them the bar stays full.
  const known = job.status === "running" && (progress?.phase === "denoising" || progress?.phase === "decoding");
  return (
    <div className="progress">
      <div
        className={known ? "progress-track" : "progress-track progress-unknown"}
        role="progressbar"
        aria-label="Progress of the picture"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={known ? percent : undefined}
        aria-valuetext={words}
      >
        <div className="progress-fill" style={{ "--done": percent / 100 }} />
      </div>
      <p className="progress-words">
        <span>{words}</span>
        {known && <span className="progress-percent">{percent} %</span>}
      </p>
    </div>
  );
}
