import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

/** The parts of OTLP's JSON form (opentelemetry-proto, trace.proto and common.proto) that are looked at. */
const attributes = z
  .array(z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) }))
  .default([])
  .transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]])));
const spanSchema = z.object({
  name: z.string(),
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z.string().default(""),
  kind: z.number(),
  startTimeUnixNano: z.string().transform(BigInt),
  endTimeUnixNano: z.string().transform(BigInt),
  attributes,
  events: z.array(z.object({ name: z.string(), attributes })).default([]),
  status: z.object({ code: z.number().default(0) }).default({ code: 0 }),
});
const messageSchema = z.object({
  resourceSpans: z.array(
    z.object({ resource: z.object({ attributes }), scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })) }),
  ),
});
type ReceivedSpan = z.output<typeof spanSchema> & { resource: Record<string, unknown> };

const spans: ReceivedSpan[] = [];
/** What a collector is to Kiln: a receiver of OTLP over HTTP as JSON. */
const receiver = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  request.on("end", () => {
    expect(request.url).toBe("/base/v1/traces");
    for (const { resource, scopeSpans } of messageSchema.parse(JSON.parse(text)).resourceSpans)
      for (const scope of scopeSpans) for (const span of scope.spans) spans.push({ ...span, resource: resource.attributes });
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
});

let server: TestServer;
beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  server = await startTestServer({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/base` });
});
afterAll(async () => {
  await server.close();
  receiver.closeAllConnections();
  receiver.close();
});

async function draw(prompt: string, headers: Record<string, string>): Promise<string> {
  const { json } = await server.call("POST", "/v1/jobs", { prompt, steps: 3, width: 64, height: 64 }, headers);
  const { id } = json as { id: string };
  await server.context.jobs.wait(id, {
    owner: "local",
    role: "admin",
    ratePerMinute: undefined,
    quotaPicturesPerDay: undefined,
    contentCeiling: undefined,
  });
  return id;
}

async function spansOf(traceId: string, count: number): Promise<ReceivedSpan[]> {
  const found = () => spans.filter((span) => span.traceId === traceId);
  for (let tries = 0; tries < 600 && found().length < count; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  return found();
}

test("one trace goes from the caller's request over the queue into the engine's process and the storage", async () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const id = await draw("traced", { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, "x-request-id": "req-of-mine" });
  await server.call("GET", "/healthz", undefined, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
  const found = await spansOf(traceId, 5);
  const byName = (name: string) => {
    const span = found.find((each) => each.name === name);
    if (!span) throw new Error(`there is no span "${name}" among ${found.map((each) => each.name)}`);
    return span;
  };
  const [request, wait, job, engine, storage] = ["POST /v1/jobs", "queue wait", "job", "engine", "storage"].map(byName);
  expect(found).toHaveLength(5);
  expect(request).toMatchObject({
    parentSpanId: "00f067aa0ba902b7",
    attributes: { "http.response.status_code": 202, "kiln.request_id": "req-of-mine" },
  });
  expect(wait).toMatchObject({ parentSpanId: request?.spanId, attributes: { job: id, priority: "normal" } });
  expect(job).toMatchObject({ parentSpanId: request?.spanId, attributes: { job: id, "kiln.request_id": "req-of-mine" } });
  expect(engine).toMatchObject({ parentSpanId: job?.spanId, attributes: { job: id, model: "kiln-test", steps: 3 } });
  expect(storage).toMatchObject({ parentSpanId: job?.spanId, attributes: { pictures: 1 } });
  // The engine is another process, and tells of each step.
  expect(engine?.resource["process.pid"]).not.toBe(job?.resource["process.pid"]);
  expect(engine?.resource["kiln.part"]).toBe("engine");
  expect(engine?.events.map(({ name, attributes: { step } }) => `${name} ${step}`)).toEqual([
    "denoising 1",
    "denoising 2",
    "denoising 3",
  ]);
  expect((wait?.endTimeUnixNano ?? 0n) >= (wait?.startTimeUnixNano ?? 0n)).toBe(true);
  expect((engine?.endTimeUnixNano ?? 0n) <= (storage?.startTimeUnixNano ?? 0n) + 50_000_000n).toBe(true);
});

test("a job that fails marks its spans, and a caller's broken header starts a trace of its own", async () => {
  const before = spans.length;
  const id = await draw("[fail]", { traceparent: "00-00000000000000000000000000000000-0000000000000000-01" });
  const failed = (span: ReceivedSpan) => span.attributes.job === id && span.status.code === 2;
  for (let tries = 0; tries < 600 && spans.filter(failed).length < 2; tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const [first] = spans.slice(before).filter(failed);
  expect(
    spans
      .filter(failed)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["engine", "job"]);
  const root = (await spansOf(first?.traceId ?? "", 4)).find(({ name }) => name === "POST /v1/jobs");
  expect(root?.parentSpanId).toBe("");
});
