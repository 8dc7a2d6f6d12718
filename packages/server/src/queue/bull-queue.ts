import { Queue, WaitingError, Worker } from "bullmq";
import type { Priority } from "../records/schema.ts";
import type { QueueBackend } from "./backend.ts";
import {
  type JobQueue,
  MAX_FAIR_TAG,
  type Outcome,
  PRIORITIES,
  type QueueCounts,
  type QueueEntry,
  type QueueWorker,
  type QueueWorkerOptions,
  type TakenJob,
} from "./job-queue.ts";

/**
 * A queue for each priority, so that a worker whose slots are full of normal jobs still sees an urgent one arrive.
 * Within a queue BullMQ's own priority carries the fair tag.
 */
export async function openQueue(backend: QueueBackend, onError: (error: Error) => void): Promise<JobQueue> {
  const queues = byPriority((priority) => {
    const queue = new Queue(queueName(priority), common(backend), backend.factory as never);
    queue.on("error", onError);
    return queue;
  });
  await Promise.all(PRIORITIES.map((priority) => queues[priority].waitUntilReady()));

  return {
    async add(entries) {
      for (const priority of PRIORITIES) {
        const jobs = entries.filter((entry) => entry.priority === priority).map(bullJob);
        const [only] = jobs;
        if (jobs.length === 1 && only) await queues[priority].add(only.name, only.data, only.opts);
        else if (jobs.length > 1) await queues[priority].addBulk(jobs);
      }
    },
    async remove({ id, priority }) {
      // Removing what is not there counts as done on Redis. BullMQ refuses to remove a job that a worker holds.
      if ((await queues[priority].getJob(id)) === undefined) return false;
      return (await queues[priority].remove(id).catch(() => 0)) === 1;
    },
    async has({ id, priority }) {
      return (await queues[priority].getJob(id)) !== undefined;
    },
    async counts() {
      return await countAll(queues);
    },
    async clear() {
      for (const priority of PRIORITIES) {
        const counts = await queues[priority].getJobCounts();
        // A start after a clean end finds nothing, and to look costs a tenth of what removing nothing does.
        if (Object.values(counts).some((count) => count > 0)) await queues[priority].obliterate({ force: true });
        // Obliterating leaves a queue paused on some backends, and this process may have died in the middle of it before.
        if (await queues[priority].isPaused()) await queues[priority].resume();
      }
    },
    async work(handle, options) {
      const workers = PRIORITIES.map((priority) => openWorker(backend, priority, handle, options));
      await Promise.all(workers.map((worker) => worker.waitUntilReady()));
      return closing(workers);
    },
    async close() {
      await Promise.all(PRIORITIES.map((priority) => queues[priority].close()));
    },
  };
}

function openWorker(
  backend: QueueBackend,
  priority: Priority,
  handle: (job: TakenJob) => Promise<Outcome>,
  { hold, lockMilliseconds, onError }: QueueWorkerOptions,
): Worker {
  const worker = new Worker(
    queueName(priority),
    async (job, token) => {
      const outcome = await handle({ id: job.id ?? "", priority });
      if (outcome === "done") return;
      await job.moveToWait(token);
      throw new WaitingError();
    },
    {
      ...common(backend),
      connection: (backend.workerConnection ?? backend.connection) as never,
      concurrency: hold[priority],
      lockDuration: lockMilliseconds,
      stalledInterval: lockMilliseconds / 2,
      // The records count the attempts and say when there are enough.
      maxStalledCount: 1_000_000,
      drainDelay: 5,
    },
    backend.factory as never,
  );
  worker.on("error", onError);
  return worker;
}

function common(backend: QueueBackend) {
  return { connection: backend.connection as never, ...(backend.prefix === undefined ? {} : { prefix: backend.prefix }) };
}

function queueName(priority: Priority): string {
  return `kiln-${priority}`;
}

function bullJob(entry: QueueEntry) {
  return {
    name: "generate",
    data: {},
    opts: {
      jobId: entry.id,
      priority: 1 + Math.max(0, Math.min(entry.fairTag, MAX_FAIR_TAG)),
      removeOnComplete: true,
      removeOnFail: true,
      // Only a handler that cannot reach the records throws; it tries until it can.
      attempts: 1_000_000,
      backoff: { type: "fixed", delay: 2000 },
      stackTraceLimit: 1,
    },
  };
}

async function countAll(queues: Record<Priority, Queue>): Promise<QueueCounts> {
  const counts: QueueCounts = { waiting: { urgent: 0, high: 0, normal: 0 }, active: 0 };
  for (const priority of PRIORITIES) {
    const found = await queues[priority].getJobCounts("wait", "prioritized", "delayed", "active");
    counts.waiting[priority] = (found.wait ?? 0) + (found.prioritized ?? 0) + (found.delayed ?? 0);
    counts.active += found.active ?? 0;
  }
  return counts;
}

function closing(workers: Worker[]): QueueWorker {
  return {
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}

function byPriority<T>(make: (priority: Priority) => T): Record<Priority, T> {
  return { urgent: make("urgent"), high: make("high"), normal: make("normal") };
}
