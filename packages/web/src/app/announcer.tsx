import type { Job, Progress } from "../api/types.ts";
import { spokenProgress } from "../features/stage/progress-words.ts";

interface AnnouncerProps {
  readonly job: Job | undefined;
  readonly progress: Progress | undefined;
}

/** Tells a screen reader how the picture on the stage gets on. The text changes only at turns, so it is heard only then. */
export function Announcer({ job, progress }: AnnouncerProps) {
  return (
    <p className="sr-only" aria-live="polite" aria-atomic="true">
      {job === undefined ? "" : spokenProgress(job, progress)}
    </p>
  );
}
