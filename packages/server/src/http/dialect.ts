import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Keys } from "../auth/keys.ts";
import type { PictureLinks } from "../auth/picture-links.ts";
import type { EngineSupervisor } from "../engine/supervisor.ts";
import type { EventBus } from "../events/bus.ts";
import type { JobService } from "../jobs/job-service.ts";
import type { PicturesIn } from "../jobs/pictures-in.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { Catalogue } from "../models/catalogue.ts";
import type { Presets } from "../models/presets.ts";
import type { Pulls } from "../models/pull/pulls.ts";
import type { Documents } from "../records/documents.ts";
import type { LoginAttempts } from "../records/login-attempts.ts";
import type { Usage } from "../records/usage.ts";
import type { Settings } from "../settings/schema.ts";
import type { Storage } from "../storage/storage.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { WorkerRecords } from "../worker/worker-records.ts";

/** What every route works with. The same for all listeners. */
export interface ServerContext {
  settings: Settings;
  version: string;
  startedAt: number;
  jobs: JobService;
  pictures: PicturesIn;
  catalogue: Catalogue;
  presets: Presets;
  /** Model downloads of this process. */
  pulls: Pulls | undefined;
  keys: Keys;
  links: PictureLinks;
  usage: Usage;
  documents: Documents;
  loginAttempts: LoginAttempts;
  workers: WorkerRecords;
  storage: Storage;
  bus: EventBus;
  metrics: Metrics;
  tracing: Tracing;
  /** The engine of this process, where it has one. */
  supervisor: EngineSupervisor | undefined;
  queueCounts(): Promise<{ waiting: number; running: number }>;
  /** Raises when a part that jobs need does not answer. */
  checkReady(): Promise<void>;
  log: Logger;
}

/**
 * A face of the service: routes that translate a contract to the native request and back. It is registered in a
 * scope of its own, so its error handler and its hooks hold for its routes alone.
 */
export interface Dialect {
  name: string;
  register(app: FastifyInstance, context: ServerContext): Promise<void> | void;
}
