import { preloadTarget } from "../dialects/depth/health.ts";
import type { EngineSupervisor } from "../engine/supervisor.ts";
import type { Foundation } from "../foundation.ts";
import type { ServerContext } from "../http/dialect.ts";
import { Worker } from "./worker.ts";

/** Lets this process draw: takes jobs from the queue for its engine. */
export async function startWorker(
  foundation: Foundation,
  supervisor: EngineSupervisor,
  context: ServerContext,
  closers: (() => Promise<void> | void)[],
): Promise<void> {
  const { settings, log, metrics } = foundation;
  const worker = new Worker({
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
    onRunning: (count) => metrics.running.set(count),
    onEnded(job, status, seconds) {
      context.jobs.forget(job.id);
      if (status === "completed") metrics.duration.observe(seconds);
      if (status === "failed") metrics.errors.inc();
    },
  });
  await worker.start();
  closers.push(() => worker.close(settings.KILN_DRAIN_SECONDS));
  // Not before the worker listens; the setting may hold one of the depth contract's names.
  const preload = preloadTarget(context) ?? settings.PRELOAD_MODEL;
  if (preload !== undefined) foundation.bus.publish({ type: "model", action: "load", model: preload });
}
