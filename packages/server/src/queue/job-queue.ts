import type { Priority } from "../records/schema.ts";

/** A job's place in the queue. What the job is lies in the records under the same id. */
export interface QueueEntry {
  id: string;
  priority: Priority;
  /** Order within the priority, smallest first; equal ones in the order of their arrival. 0 to MAX_FAIR_TAG. */
  fairTag: number;
}

/** BullMQ's priorities go to 2^21 - 1 and 0 means "before all", so a tag is stored as tag + 1. */
export const MAX_FAIR_TAG = 2 ** 21 - 3;

export const PRIORITIES: readonly Priority[] = ["urgent", "high", "normal"];

export interface QueueCounts {
  waiting: Record<Priority, number>;
  active: number;
}

/** What became of a job that was taken: its end is recorded, or it goes back to the front of its priority. */
export type Outcome = "done" | "hand-back";

export interface TakenJob {
  id: string;
  priority: Priority;
}

export interface QueueWorkerOptions {
  /** How many jobs of each priority may be held at once. */
  hold: Record<Priority, number>;
  /** A job whose worker has been silent for so long goes back. */
  lockMilliseconds: number;
  /** The queue itself has trouble: its server is away. The worker goes on trying. */
  onError(error: Error): void;
}

export interface QueueWorker {
  /** Takes no more jobs and waits for the handlers of those that are held. */
  close(): Promise<void>;
}

/** Jobs that wait, by priority. Delivery is at least once: whoever handles a job asks the records whether it still is to be done. */
export interface JobQueue {
  /** Adds jobs; an id that is there already is left as it is. */
  add(entries: readonly QueueEntry[]): Promise<void>;
  /** Takes a waiting job out. False when it is not waiting (any more). */
  remove(entry: Pick<QueueEntry, "id" | "priority">): Promise<boolean>;
  /** Whether a job is in the queue, waiting or taken. */
  has(entry: Pick<QueueEntry, "id" | "priority">): Promise<boolean>;
  counts(): Promise<QueueCounts>;
  /** Empties the queue, also of jobs that are held. Only for whoever knows that nobody holds any. */
  clear(): Promise<void>;
  /** Starts taking jobs. A handler that throws has its job delivered again after a pause. */
  work(handle: (job: TakenJob) => Promise<Outcome>, options: QueueWorkerOptions): Promise<QueueWorker>;
  close(): Promise<void>;
}
