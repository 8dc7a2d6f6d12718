import { type Context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { messageOf } from "../errors.ts";
import type { SpanOptions, TraceSpan, Tracing } from "./tracing.ts";

const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, consumer: SpanKind.CONSUMER };
/** W3C Trace Context, level 1: version 00, trace, span, flags. */
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})/;
/** How long spans wait for others, so that they travel together. */
const BATCH_MILLISECONDS = 1000;

export class OtlpTracing implements Tracing {
  readonly enabled = true;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;

  constructor(endpoint: string, part: string) {
    const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces` });
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({ "service.name": "kiln", "kiln.part": part, "process.pid": process.pid }),
      spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: BATCH_MILLISECONDS })],
    });
    this.#tracer = this.#provider.getTracer("kiln");
  }

  start(name: string, { kind = "internal", parent, attributes = {}, startedAt }: SpanOptions = {}): TraceSpan {
    const options = { kind: KINDS[kind], attributes, ...(startedAt ? { startTime: startedAt } : {}) };
    return new OtlpSpan(this.#tracer.startSpan(name, options, contextOf(parent)));
  }

  async close(): Promise<void> {
    // A receiver that is away must not keep the process from ending.
    await this.#provider.shutdown().catch(() => {});
  }
}

class OtlpSpan implements TraceSpan {
  readonly traceparent: string;
  readonly #span: Span;

  constructor(span: Span) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
    this.#span = span;
  }

  event(name: string, attributes = {}): void {
    this.#span.addEvent(name, attributes);
  }

  set(attributes: Record<string, string | number | boolean>): void {
    this.#span.setAttributes(attributes);
  }

  end(error?: unknown): void {
    if (error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error).slice(0, 500) });
    this.#span.end();
  }
}

function contextOf(parent: string | undefined): Context {
  const [, traceId, spanId, flags = "00"] = TRACEPARENT.exec(parent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true });
}
