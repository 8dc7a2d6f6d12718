import { useEffect } from "react";
import { isFinished, type Job, type Progress } from "../api/types.ts";

/** The tab says how far the picture is, for whoever looks at another one meanwhile. */
export function useTitle(job: Job | undefined, progress: Progress | undefined): void {
  const busy = job !== undefined && !isFinished(job);
  const title = busy ? `${Math.round(progress?.percent ?? 0)} % · Kiln` : "Kiln";
  useEffect(() => {
    document.title = title;
  }, [title]);
}
