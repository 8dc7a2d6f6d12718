import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Priority } from "../records/schema.ts";

/** Prometheus metrics. The first three names are those that existing dashboards of the queue service read. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: "image_generation_requests_total",
    help: "Generation requests accepted",
    registers: [this.registry],
  });
  readonly errors = new Counter({ name: "image_generation_errors_total", help: "Jobs that failed", registers: [this.registry] });
  readonly duration = new Histogram({
    name: "image_generation_duration_seconds",
    help: "From the start on an engine to the stored picture",
    buckets: [0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300],
    registers: [this.registry],
  });
  readonly queueWait = new Histogram({
    name: "kiln_queue_wait_seconds",
    help: "From acceptance to the start on an engine",
    labelNames: ["priority"],
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300],
    registers: [this.registry],
  });
  readonly stepSeconds = new Histogram({
    name: "kiln_step_seconds",
    help: "One denoising step as a job sees it",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [this.registry],
  });
  readonly waiting = new Gauge({
    name: "kiln_queue_waiting",
    help: "Jobs that wait",
    labelNames: ["priority"],
    registers: [this.registry],
  });
  readonly running = new Gauge({
    name: "kiln_jobs_running",
    help: "Jobs that share the engine of this process",
    registers: [this.registry],
  });
  readonly engineDeaths = new Counter({
    name: "kiln_engine_deaths_total",
    help: "Engine processes that were replaced",
    registers: [this.registry],
  });
  readonly engineMemory = new Gauge({
    name: "kiln_engine_memory_bytes",
    help: "Memory of the engine",
    labelNames: ["kind"],
    registers: [this.registry],
  });
  readonly httpSeconds = new Histogram({
    name: "kiln_http_request_seconds",
    help: "HTTP requests by route",
    labelNames: ["method", "route", "status"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  noteWaiting(waiting: Record<Priority, number>): void {
    for (const [priority, count] of Object.entries(waiting)) this.waiting.set({ priority }, count);
  }
}
