import type { Logger } from "pino";
import type { Closer } from "./close-parts.ts";
import { messageOf } from "./errors.ts";
import type { EventBus } from "./events/bus.ts";
import { openBus } from "./events/open-bus.ts";
import { PicturesIn } from "./jobs/pictures-in.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { Catalogue } from "./models/catalogue.ts";
import { loadPresets, type Presets } from "./models/presets.ts";
import { scanModels } from "./models/scan.ts";
import { openBackend } from "./open-backend.ts";
import type { QueueBackend } from "./queue/backend.ts";
import { openQueue } from "./queue/bull-queue.ts";
import type { JobQueue } from "./queue/job-queue.ts";
import { type Database, openDatabase } from "./records/database.ts";
import { JobStore } from "./records/job-store.ts";
import { Uploads } from "./records/uploads.ts";
import type { Settings } from "./settings/schema.ts";
import { openStorage } from "./storage/open-storage.ts";
import type { Storage } from "./storage/storage.ts";
import type { Tracing } from "./tracing/tracing.ts";
import { WorkerRecords } from "./worker/worker-records.ts";

/** What both roles stand on. */
export interface Foundation {
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

/** Opens what both roles need, database first. What has been opened is in `closers` even when a later part raises. */
export async function layFoundation(
  settings: Settings,
  log: Logger,
  metrics: Metrics,
  tracing: Tracing,
  closers: Closer[],
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
