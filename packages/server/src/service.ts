import type { Logger } from "pino";
import type { Closer } from "./close-parts.ts";
import { writeReadyLine } from "./dialects/vast/ready-line.ts";
import type { StartedEngine } from "./engine/start-engine.ts";
import { layFoundation } from "./foundation.ts";
import { makeApp } from "./http/app.ts";
import type { ServerContext } from "./http/dialect.ts";
import type { FrontDoor } from "./http/front-door.ts";
import { makeContext } from "./make-context.ts";
import { Metrics } from "./metrics/metrics.ts";
import type { Settings } from "./settings/schema.ts";
import { openTracing } from "./tracing/tracing.ts";
import { startWorkers } from "./worker/start-worker.ts";

/** What is there before the service itself is loaded. */
export interface ServiceParts {
  settings: Settings;
  log: Logger;
  doors: readonly FrontDoor[];
  /** One for each device; none in a gateway alone. The first speaks for the process where one is asked about. */
  engines: readonly StartedEngine[];
  onEngineDeath(listener: () => void): void;
  /** What is opened adds its end here; they run backwards, those of the entrances first. */
  closers: Closer[];
  entrances: Closer[];
}

/** Opens the records, the queue and the rest, lets the doors lead to the application, and starts the worker. */
export async function startService(parts: ServiceParts): Promise<ServerContext> {
  const { settings, log, doors, engines, onEngineDeath, closers, entrances } = parts;
  const metrics = new Metrics();
  onEngineDeath(() => metrics.engineDeaths.inc());
  const tracing = await openTracing(settings.OTEL_EXPORTER_OTLP_ENDPOINT, "server");
  closers.push(() => tracing.close());
  const foundation = await layFoundation(settings, log, metrics, tracing, closers);
  const context = await makeContext(foundation, engines[0]?.supervisor, closers);
  for (const door of doors) {
    const app = await makeApp(door.listener, context);
    entrances.push(() => app.close());
    await app.ready();
    door.lead(app.server);
    log.info({ url: door.url, dialect: door.listener.dialect }, "listening");
  }
  for (const { ready } of engines) await ready;
  await startWorkers(
    foundation,
    engines.map(({ supervisor }) => supervisor),
    context,
    closers,
  );
  const closing = new AbortController();
  closers.push(() => closing.abort());
  void writeReadyLine(context, closing.signal);
  return context;
}
