import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { Keys } from "./auth/keys.ts";
import { RateLimiter } from "./auth/rate-limiter.ts";
import { openContentPolicy } from "./content/policy.ts";
import { preloadTarget } from "./dialects/depth/health.ts";
import { EngineSupervisor } from "./engine/supervisor.ts";
import { messageOf, ServiceError } from "./errors.ts";
import type { EventBus } from "./events/bus.ts";
import { openBus } from "./events/open-bus.ts";
import { makeApp } from "./http/app.ts";
import type { ServerContext } from "./http/dialect.ts";
import { JobService } from "./jobs/job-service.ts";
import { Maintenance } from "./jobs/maintenance.ts";
import { PicturesIn } from "./jobs/pictures-in.ts";
import { WebhookOutbox } from "./jobs/webhook-outbox.ts";
import { makeLog } from "./metrics/log.ts";
import { Metrics } from "./metrics/metrics.ts";
import { Catalogue } from "./models/catalogue.ts";
import { loadPresets, type Presets } from "./models/presets.ts";
import { Pulls } from "./models/pull/pulls.ts";
import { scanModels } from "./models/scan.ts";
import { openBackend } from "./open-backend.ts";
import type { QueueBackend } from "./queue/backend.ts";
import { openQueue } from "./queue/bull-queue.ts";
import type { JobQueue } from "./queue/job-queue.ts";
import { type Database, openDatabase } from "./records/database.ts";
import { Documents } from "./records/documents.ts";
import { JobStore } from "./records/job-store.ts";
import { Uploads } from "./records/uploads.ts";
import { Usage } from "./records/usage.ts";
import type { Listener } from "./settings/listen.ts";
import type { Settings } from "./settings/schema.ts";
import { openStorage } from "./storage/open-storage.ts";
import type { Storage } from "./storage/storage.ts";
import { openTracing, type Tracing } from "./tracing/tracing.ts";
import { Worker } from "./worker/worker.ts";
import { WorkerRecords } from "./worker/worker-records.ts";

export interface RunningServer {
  /** The addresses that are listened on; none for a worker alone. */
  listeners: { url: string; dialect: string }[];
  /** For faces and commands that work inside the process. */
  context: ServerContext;
  /** Stops accepting, hands running jobs back after the drain time, closes everything. */
  close(): Promise<void>;
}

export interface StartOptions {
  log?: Logger;
}

/** What both roles stand on. */
interface Foundation {
  settings: Settings;
  log: Logger;
  database: Database;
  backend: QueueBackend;
  queue: JobQueue;
  bus: EventBus;
  storage: Storage;
  store: JobStore;
  uploads: Uploads;
  pictures: PicturesIn;
  catalogue: Catalogue;
  presets: Presets;
  metrics: Metrics;
  tracing: Tracing;
  workers: WorkerRecords;
}

/** Starts the service as the settings say. Raises an Error whose message names what stands in the way. */
export async function startServer(settings: Settings, options: StartOptions = {}): Promise<RunningServer> {
  const log = options.log ?? makeLog(settings);
  const closers: (() => Promise<void> | void)[] = [];
  const doors: (() => Promise<void> | void)[] = [];
  const close = async () => {
    // Nobody is let in any more before the rest is taken apart.
    for (const closer of [...closers.splice(0), ...doors.splice(0)].reverse()) {
      await Promise.resolve(closer()).catch((error: unknown) =>
        log.warn({ reason: messageOf(error) }, "a part did not close cleanly"),
      );
    }
  };
  try {
    const metrics = new Metrics();
    const tracing = await openTracing(settings.OTEL_EXPORTER_OTLP_ENDPOINT, "server");
    closers.push(() => tracing.close());
    // The engine gets ready while the database opens, and the page is served before it is.
    const engine = settings.KILN_ROLE === "gateway" ? undefined : startEngine(settings, log, metrics, closers);
    const foundation = await layFoundation(settings, log, metrics, tracing, closers);
    const context = await makeContext(foundation, engine?.supervisor, closers);
    const listeners = settings.KILN_ROLE === "worker" ? [] : await listen(context, doors);
    if (engine) {
      await engine.ready;
      await startWorker(foundation, engine.supervisor, context, closers);
    }
    return { listeners, context, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function layFoundation(
  settings: Settings,
  log: Logger,
  metrics: Metrics,
  tracing: Tracing,
  closers: (() => Promise<void> | void)[],
): Promise<Foundation> {
  const dataDir = settings.KILN_DATA_DIR;
  if (settings.KILN_ROLE !== "all" && !settings.DATABASE_URL) {
    throw new Error(`KILN_ROLE=${settings.KILN_ROLE} needs DATABASE_URL: the embedded database belongs to one process.`);
  }
  const database = await openDatabase({ url: settings.DATABASE_URL, dataDir });
  closers.push(() => database.close());
  const backend = await openBackend(settings, database);
  closers.push(() => backend.close());
  const queue = await openQueue(backend, (error) => log.warn({ reason: messageOf(error) }, "the queue has trouble"));
  closers.push(() => queue.close());
  const bus = await openBus(settings, database, (error) => log.warn({ reason: messageOf(error) }, "the event bus has trouble"));
  closers.push(() => bus.close());
  const storage = await openStorage(settings);
  closers.push(() => storage.close());
  const store = new JobStore(database.records);
  const presets = loadPresets(settings.KILN_PRESETS, dataDir);
  const catalogue = new Catalogue({
    scan: () => scanModels(settings, (message) => log.warn(message)),
    aliases: () => presets.aliases,
    overrides: () => presets.models,
    warn: (message) => log.warn(message),
    defaultModel: settings.KILN_DEFAULT_MODEL ?? settings.SDXL_MODEL_ID,
  });
  await catalogue.refresh();
  bus.subscribe((event) => {
    if (event.type === "catalogue")
      void catalogue.refresh().catch((error: unknown) => log.warn({ reason: messageOf(error) }, "cannot look for models"));
  });
  const uploads = new Uploads(database.records);
  const pictures = new PicturesIn(storage, uploads, store);
  return {
    settings,
    log,
    database,
    backend,
    queue,
    bus,
    storage,
    store,
    uploads,
    pictures,
    catalogue,
    presets,
    metrics,
    tracing,
    workers: new WorkerRecords(database.records),
  };
}

function startEngine(
  settings: Settings,
  log: Logger,
  metrics: Metrics,
  closers: (() => Promise<void> | void)[],
): { supervisor: EngineSupervisor; ready: Promise<unknown> } {
  const supervisor = new EngineSupervisor({
    engine: {
      implementation: settings.KILN_ENGINE,
      device: settings.KILN_DEVICE,
      backend: settings.KILN_BACKEND,
      precision: settings.KILN_PRECISION,
      slots: settings.KILN_SLOTS,
      memoryBudget: settings.KILN_MEMORY_BUDGET,
      stepMilliseconds: settings.KILN_TEST_ENGINE_STEP_MS,
      tracesTo: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
    },
    hangSeconds: settings.KILN_ENGINE_HANG_SECONDS,
    onLog: (level, message, details) => {
      if (level === "warn") metrics.engineDeaths.inc();
      log[level](details ?? {}, message);
    },
  });
  closers.push(() => supervisor.stop());
  const ready = supervisor.start();
  ready.catch(() => {}); // it is heard where it is waited for
  return { supervisor, ready };
}

async function makeContext(
  foundation: Foundation,
  supervisor: EngineSupervisor | undefined,
  closers: (() => Promise<void> | void)[],
): Promise<ServerContext> {
  const { settings, log, database, queue, bus, storage, store, pictures, catalogue, presets, metrics, workers } = foundation;
  const usage = new Usage(database.records);
  const limiter = new RateLimiter(settings.KILN_RATE_LIMIT);
  const policy = openContentPolicy(
    settings.KILN_CONTENT_RULES ?? join(settings.KILN_DATA_DIR, "content-rules.json"),
    settings.KILN_CONTENT_CEILING,
    settings.KILN_CONTENT_RULES !== undefined,
  );
  let outbox: WebhookOutbox | undefined;
  const jobs = new JobService({
    store,
    queue,
    bus,
    storage,
    catalogue,
    pictures,
    operator: {
      loras: settings.SDXL_LORA_PATH === undefined ? [] : [{ name: settings.SDXL_LORA_PATH, weight: 1 }],
      metadata: settings.KILN_OUTPUT_METADATA,
    },
    presets: presets.presets,
    maxWaiting: settings.KILN_MAX_WAITING,
    checkContent: (request, caller) => policy.check(request, caller.contentCeiling),
    async checkQuota(caller, count) {
      limiter.take(caller);
      const quota = caller.quotaPicturesPerDay;
      if (quota !== undefined && (await usage.picturesToday(caller.owner)) + count > quota) {
        throw new ServiceError("quota_exceeded", `This key makes at most ${quota} pictures a day; go on tomorrow (UTC).`, {
          retryAfter: 3600,
        });
      }
    },
    onAccepted(job) {
      metrics.requests.inc();
      if (job.request.webhook) outbox?.expect(job.id);
    },
  });
  closers.push(() => jobs.close());
  if (settings.KILN_ROLE !== "worker") {
    const maintenance = new Maintenance({
      store,
      queue,
      bus,
      jobs,
      metrics,
      log,
      storage,
      uploads: foundation.uploads,
      retentionDays: settings.KILN_RETENTION_DAYS,
    });
    await (foundation.backend.kind === "embedded" ? maintenance.rebuild() : maintenance.reconcile());
    maintenance.start();
    closers.push(() => maintenance.stop());
    const telling = new WebhookOutbox({ store, jobs, bus, allowPrivate: settings.KILN_WEBHOOK_PRIVATE, log });
    telling.start();
    closers.push(() => telling.stop());
    outbox = telling;
  }
  await jobs.restore();
  const pulls = new Pulls({
    settings,
    async refresh() {
      await catalogue.refresh();
      bus.publish({ type: "catalogue" });
      return catalogue.list();
    },
    log: (message, details) => log.info(details, message),
  });
  closers.push(() => pulls.close());
  return {
    pulls,
    settings,
    version: readVersion(),
    startedAt: Date.now(),
    jobs,
    pictures,
    catalogue,
    presets,
    keys: new Keys(database.records),
    usage,
    documents: new Documents(database.records),
    workers,
    storage,
    bus,
    metrics,
    tracing: foundation.tracing,
    supervisor,
    async queueCounts() {
      const { waiting } = await queue.counts();
      const running = (await workers.alive()).reduce((sum, { state }) => sum + Number(state.running ?? 0), 0);
      return { waiting: waiting.urgent + waiting.high + waiting.normal, running };
    },
    async checkReady() {
      await queue.counts();
      await storage.check();
      const alive = supervisor ? supervisor.isReady : (await workers.alive()).some(({ state }) => state.ready === true);
      if (!alive) throw new ServiceError("unavailable", "No engine is ready.", { retryAfter: 5 });
      catalogue.default();
    },
    log,
  };
}

async function startWorker(
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

async function listen(context: ServerContext, closers: (() => Promise<void> | void)[]): Promise<RunningServer["listeners"]> {
  const { settings, log } = context;
  const depth: Listener[] =
    settings.MODEL_SERVER_PORT === undefined
      ? []
      : [{ host: settings.MODEL_SERVER_HOST ?? "127.0.0.1", port: settings.MODEL_SERVER_PORT, dialect: "depth" }];
  const vast: Listener[] =
    settings.WORKER_PORT === undefined ? [] : [{ host: "0.0.0.0", port: settings.WORKER_PORT, dialect: "vast" }];
  const listening: RunningServer["listeners"] = [];
  for (const listener of [...settings.KILN_LISTEN, ...depth, ...vast]) {
    const app: FastifyInstance = await makeApp(listener, context);
    closers.push(() => app.close());
    await app.listen({ host: listener.host, port: listener.port });
    const { port } = app.server.address() as AddressInfo;
    const url = `http://${listener.host.includes(":") ? `[${listener.host}]` : listener.host}:${port}`;
    log.info({ url, dialect: listener.dialect }, "listening");
    listening.push({ url, dialect: listener.dialect });
  }
  return listening;
}

function readVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof parsed === "object" && parsed !== null && "version" in parsed ? String(parsed.version) : "0";
}
