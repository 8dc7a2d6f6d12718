import { jobEventsPath } from "./client.ts";
import { readJob, readPreview, readProgress } from "./readers.ts";
import { isFinished, type Job, type Preview, type Progress } from "./types.ts";

export interface JobListener {
  onJob(job: Job): void;
  onProgress(progress: Progress): void;
  onPreview(preview: Preview): void;
  /** The stream broke before the job finished. The listener is not called again; following anew is the caller's decision. */
  onLost(): void;
}

/** Follows a job until it finishes. Returns the function that stops following. */
export function followJob(id: string, listener: JobListener): () => void {
  const source = new EventSource(jobEventsPath(id));
  source.addEventListener("job", (event) => {
    const job = readJob(parse(event));
    if (isFinished(job)) source.close();
    listener.onJob(job);
  });
  source.addEventListener("progress", (event) => listener.onProgress(readProgress(parse(event))));
  source.addEventListener("preview", (event) => {
    const preview = readPreview(parse(event));
    if (preview !== undefined) listener.onPreview(preview);
  });
  source.addEventListener("error", () => {
    // The browser's own retry is silent and endless; the page says what happened and retries by its own clock.
    source.close();
    listener.onLost();
  });
  return () => source.close();
}

function parse(event: Event): unknown {
  if (!(event instanceof MessageEvent) || typeof event.data !== "string") return undefined;
  try {
    return JSON.parse(event.data);
  } catch {
    return undefined;
  }
}
