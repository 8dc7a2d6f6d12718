import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Keys } from "./auth/keys.ts";
import { KeysMarker } from "./auth/keys-marker.ts";
import { PictureLinks } from "./auth/picture-links.ts";
import { lockQuota, requireQuota } from "./auth/quota.ts";
import { RateLimiter } from "./auth/rate-limiter.ts";
import type { Closer } from "./close-parts.ts";
import { openContentPolicy } from "./content/policy.ts";
import type { EngineSupervisor } from "./engine/supervisor.ts";
import { ServiceError } from "./errors.ts";
import type { Foundation } from "./foundation.ts";
import type { ServerContext } from "./http/dialect.ts";
import { JobService } from "./jobs/job-service.ts";
import { Maintenance } from "./jobs/maintenance.ts";
import { WebhookOutbox } from "./jobs/webhook-outbox.ts";
import { Pulls } from "./models/pull/pulls.ts";
import { Documents } from "./records/documents.ts";
import type { NewJob } from "./records/job-store.ts";
import { LoginAttempts } from "./records/login-attempts.ts";
import { sharedSecret } from "./records/secrets.ts";
import { Usage } from "./records/usage.ts";
import { WebhookRecords } from "./records/webhook-records.ts";

/** What every route works with, and the gateway's own work beside the routes. */
export async function makeContext(
  foundation: Foundation,
  supervisor: EngineSupervisor | undefined,
  closers: Closer[],
): Promise<ServerContext> {
  const { settings, log, database, queue, bus, storage, pictures, catalogue, presets, metrics, workers } = foundation;
  const usage = new Usage(database.records);
  const keys = new Keys(database.records, KeysMarker.of(settings));
  await keys.any(); // brings the marker up to date
  const linkSecret = await sharedSecret(database.records, "picture-links");
  const links = new PictureLinks(linkSecret, settings.KILN_LINK_SECONDS, () => keys.any());
  let outbox: WebhookOutbox | undefined;
  const jobs = openJobs(foundation, usage, links, (job) => {
    metrics.requests.inc();
    if (job.request.webhook) outbox?.expect(job.id);
  });
  closers.push(() => jobs.close());
  if (settings.KILN_ROLE !== "worker") {
    await startMaintenance(foundation, jobs, closers);
    outbox = startOutbox(foundation, jobs, closers);
  }
  await jobs.restore();
  const pulls = openPulls(foundation);
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
    keys,
    links,
    usage,
    documents: new Documents(database.records),
    loginAttempts: new LoginAttempts(database.records),
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

/** The jobs' service with the rules that a request is held against. */
function openJobs(
  { settings, database, store, queue, bus, storage, catalogue, pictures, presets }: Foundation,
  usage: Usage,
  links: PictureLinks,
  onAccepted: (job: NewJob) => void,
): JobService {
  const limiter = new RateLimiter(settings.KILN_RATE_LIMIT);
  const policy = openContentPolicy(
    settings.KILN_CONTENT_RULES ?? join(settings.KILN_DATA_DIR, "content-rules.json"),
    settings.KILN_CONTENT_CEILING,
    settings.KILN_CONTENT_RULES !== undefined,
  );
  return new JobService({
    store,
    queue,
    bus,
    storage,
    catalogue,
    pictures,
    operator: {
      loras: settings.SDXL_LORA_PATH ?? [],
      metadata: settings.KILN_OUTPUT_METADATA,
    },
    presets: presets.presets,
    links,
    maxWaiting: settings.KILN_MAX_WAITING,
    checkContent: (request, caller) => policy.check(request, caller.contentCeiling),
    async checkQuota(caller, work) {
      limiter.take(caller);
      await requireQuota(caller, work, usage);
    },
    // The embedded database has this process alone, which takes an owner's requests in turn.
    lockQuota: (caller, work) => (database.kind === "embedded" ? undefined : lockQuota(caller, work, usage)),
    onAccepted,
  });
}

async function startMaintenance(foundation: Foundation, jobs: JobService, closers: Closer[]): Promise<void> {
  const { store, queue, bus, metrics, log, storage, database, uploads, settings, backend } = foundation;
  const maintenance = new Maintenance({
    store,
    queue,
    bus,
    jobs,
    metrics,
    log,
    storage,
    database,
    uploads,
    retentionDays: settings.KILN_RETENTION_DAYS,
  });
  await (backend.kind === "embedded" ? maintenance.rebuild() : maintenance.reconcile());
  maintenance.start();
  closers.push(() => maintenance.stop());
}

function startOutbox({ database, bus, settings, log }: Foundation, jobs: JobService, closers: Closer[]): WebhookOutbox {
  const records = new WebhookRecords(database.records);
  const outbox = new WebhookOutbox({ records, jobs, bus, allowPrivate: settings.KILN_WEBHOOK_PRIVATE, log });
  outbox.start();
  closers.push(() => outbox.stop());
  return outbox;
}

function openPulls({ settings, catalogue, bus, log }: Foundation): Pulls {
  return new Pulls({
    settings,
    async refresh() {
      await catalogue.refresh();
      bus.publish({ type: "catalogue" });
      return catalogue.list();
    },
    log: (message, details) => log.info(details, message),
  });
}

function readVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof parsed === "object" && parsed !== null && "version" in parsed ? String(parsed.version) : "0";
}
