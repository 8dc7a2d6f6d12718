/** A stretch of work that a trace shows. */
export interface TraceSpan {
  /** W3C Trace Context: what carries the trace into another process. Empty where nothing is traced. */
  readonly traceparent: string;
  /** Something that happened at one moment, for example a denoising step. */
  event(name: string, attributes?: SpanAttributes): void;
  set(attributes: SpanAttributes): void;
  /** With an error the span is marked as failed. */
  end(error?: unknown): void;
}

export type SpanAttributes = Record<string, string | number | boolean>;

export interface SpanOptions {
  kind?: "internal" | "server" | "consumer";
  /** A traceparent from another span, process or caller; what is none starts a trace of its own. */
  parent?: string | undefined;
  attributes?: SpanAttributes;
  /** When it began, if not now. */
  startedAt?: Date;
}

/** Traces of this process. */
export interface Tracing {
  readonly enabled: boolean;
  start(name: string, options?: SpanOptions): TraceSpan;
  /** Sends what has not been sent. */
  close(): Promise<void>;
}

const NO_SPAN: TraceSpan = { traceparent: "", event() {}, set() {}, end() {} };

/** Nothing is traced, and nothing of OpenTelemetry is loaded. */
export const NO_TRACING: Tracing = { enabled: false, start: () => NO_SPAN, close: async () => {} };

/**
 * Sends spans to an OTLP/HTTP receiver where an endpoint is set.
 * @param endpoint the receiver's base address; `/v1/traces` is added, as OpenTelemetry's own tools do
 * @param part which of Kiln's processes this is
 */
export async function openTracing(endpoint: string | undefined, part: "server" | "engine"): Promise<Tracing> {
  if (endpoint === undefined) return NO_TRACING;
  const { OtlpTracing } = await import("./otlp-tracing.ts");
  return new OtlpTracing(endpoint, part);
}
