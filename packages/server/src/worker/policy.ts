import type { Priority } from "../records/schema.ts";

/**
 * The scheduling policy: which of the jobs that a worker holds starts next. It is a pure function of what is held,
 * what runs and the time, so that the simulator in bench/ replays it as it is.
 */

/** How long a job of each priority should wait at most, in seconds. */
export const TARGET_WAIT_SECONDS: Record<Priority, number> = { urgent: 1.5, high: 4, normal: 8 };

/** A job that has waited this many times its target counts as one of the next priority, so that nothing starves. */
const AGING_FACTOR = 15;

/** How long a job may be passed over for others whose model is loaded, in seconds. Loading SDXL takes about as long. */
const LOADED_PREFERENCE_SECONDS: Record<Priority, number> = { urgent: 0, high: 2, normal: 10 };

const RANK: Record<Priority, number> = { urgent: 0, high: 1, normal: 2 };

/** A job that waits in the worker. Times are seconds on one clock. */
export interface Candidate {
  id: string;
  priority: Priority;
  model: string;
  /** Since when it waits. */
  since: number;
  /** An engine has died with this job in flight, so it runs alone: the next death is then its own. */
  suspect: boolean;
}

export interface Running {
  priority: Priority;
  model: string;
  suspect: boolean;
}

export interface Capacity {
  /** Jobs that share the denoiser. */
  slots: number;
  /** Beyond the slots, for urgent jobs alone: the denoiser parks another job at its next step. */
  urgentExtra: number;
}

/** The job that should start now, or undefined when none may. */
export function chooseNext(
  held: readonly Candidate[],
  running: readonly Running[],
  loaded: ReadonlySet<string>,
  capacity: Capacity,
  now: number,
): Candidate | undefined {
  if (running.some((job) => job.suspect)) return undefined;
  const ordered = [...held].sort(
    (a, b) => effectiveRank(a, now) - effectiveRank(b, now) || scoreOf(a, loaded) - scoreOf(b, loaded),
  );
  for (const candidate of ordered) {
    // When its turn has come, the others run out before it: while they keep joining, it would never be alone.
    if (candidate.suspect) return running.length === 0 ? candidate : undefined;
    if (running.length < capacity.slots) return candidate;
    if (candidate.priority === "urgent" && mayPreempt(running, capacity)) return candidate;
  }
  return undefined;
}

/** The priority that a job has by now: its own, or a better one when it has waited too long. */
export function effectiveRank(job: Candidate, now: number): number {
  const waited = now - job.since;
  const promotions = Math.floor(waited / (TARGET_WAIT_SECONDS[job.priority] * AGING_FACTOR));
  return Math.max(0, RANK[job.priority] - promotions);
}

/** Within a rank the oldest is first, with a head start for jobs whose model needs no loading. */
function scoreOf(job: Candidate, loaded: ReadonlySet<string>): number {
  return loaded.has(job.model) ? job.since - LOADED_PREFERENCE_SECONDS[job.priority] : job.since;
}

/** An urgent job goes beyond the slots while a less urgent one can be parked for it. */
function mayPreempt(running: readonly Running[], capacity: Capacity): boolean {
  const urgent = running.filter((job) => job.priority === "urgent").length;
  return running.length < capacity.slots + capacity.urgentExtra && urgent < capacity.slots;
}

/** How many jobs of each priority a worker holds at once: urgent ones beyond its slots, so that they never wait behind others. */
export function holdLimits(slots: number, lookahead: number): Record<Priority, number> {
  return { urgent: slots, high: slots, normal: slots + lookahead };
}
