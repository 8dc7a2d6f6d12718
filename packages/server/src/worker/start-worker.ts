import type { Closer } from "../close-parts.ts";
import { preloadTarget } from "../dialects/depth/health.ts";
import type { EngineSupervisor } from "../engine/supervisor.ts";
import type { Foundation } from "../foundation.ts";
import type { ServerContext } from "../http/dialect.ts";
import { secondsOnEngine } from "../jobs/job-view.ts";
import { Worker } from "./worker.ts";

/** Lets this process draw: takes jobs from the queue for each of its engines. */
export async function startWorkers(
  foundation: Foundation,
  supervisors: readonly EngineSupervisor[],
  context: ServerContext,
  closers: Closer[],
): Promise<void> {
  if (supervisors.length === 0) return;
  const running = supervisors.map(() => 0);
  const countRunning = (index: number, count: number): void => {
    running[index] = count;
    foundation.metrics.running.set(running.reduce((sum, each) => sum + each, 0));
  };
  const workers = supervisors.map((supervisor, index) =>
    makeWorker(foundation, supervisor, context, (count) => countRunning(index, count)),
  );
  for (const worker of workers) await worker.start();
  closers.push(async () => {
    await Promise.all(workers.map((worker) => worker.close(foundation.settings.KILN_DRAIN_SECONDS)));
  });
  // Not before the workers listen; the setting may hold one of the depth contract's names.
  const preload = preloadTarget(context) ?? foundation.settings.PRELOAD_MODEL;
  if (preload !== undefined) foundation.bus.publish({ type: "model", action: "load", model: preload });
}

function makeWorker(
  foundation: Foundation,
  supervisor: EngineSupervisor,
  context: ServerContext,
  onRunning: (count: number) => void,
): Worker {
  const { settings, log, metrics } = foundation;
  return new Worker({
    ...foundation,
    supervisor,
    records: foundation.workers,
    slots: settings.KILN_SLOTS,
    lookahead: settings.KILN_LOOKAHEAD,
    lockSeconds: settings.KILN_LOCK_SECONDS,
    log,
    onStarted(job) {
      context.jobs.noteStarted(job);
      metrics.queueWait.observe({ priority: job.priority }, (Date.now() - job.created_at.getTime()) / 1000);
    },
    onStep: (seconds) => metrics.stepSeconds.observe(seconds),
    onRunning,
    onEnded(job, status, timings) {
      context.jobs.forget(job.id);
      if (status === "completed") metrics.duration.observe(secondsOnEngine(timings));
      if (status === "failed") metrics.errors.inc();
    },
  });
}
