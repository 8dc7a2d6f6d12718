import { codeOf, messageOf } from "../errors.ts";
import { NO_TRACING, openTracing, type TraceSpan, type Tracing } from "../tracing/tracing.ts";
import { encodePicture } from "./encode.ts";
import { endWithServer } from "./end-with-server.ts";
import type { EngineJob, PictureEngine } from "./picture-engine.ts";
import type { EngineFailure, EngineOptions, FromEngine, ToEngine } from "./protocol.ts";
import { TestEngine } from "./test-engine.ts";

/** The engine process: it draws what it is sent and says how far it is. It ends when the server does. */

const BEAT_MILLISECONDS = 1000;
const aborts = new Map<string, AbortController>();
let engine: PictureEngine | undefined;
let tracing: Tracing = NO_TRACING;

function send(message: FromEngine): void {
  // A closed channel means that the server is gone; "disconnect" ends the process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function failureOf(error: unknown): EngineFailure {
  // With a field to blame it was refused before anything started: the process is sound, and the job must not be tried again.
  const refused =
    codeOf(error) === "out_of_memory" && error instanceof Error && "subject" in error && error.subject !== undefined;
  if (refused) return { code: "invalid_request", message: messageOf(error) };
  return { code: codeOf(error) ?? "backend_failed", message: messageOf(error) };
}

async function makeEngine(options: EngineOptions): Promise<PictureEngine> {
  if (options.implementation === "test") return new TestEngine(options.stepMilliseconds);
  const { openDiffusionEngine } = await import("./diffusion-engine.ts");
  return await openDiffusionEngine(options, (message) => send({ type: "notice", message }));
}

async function start(options: EngineOptions): Promise<void> {
  try {
    tracing = await openTracing(options.tracesTo, "engine");
    const started = await makeEngine(options);
    engine = started;
    const { device, backend, precision, card } = started;
    send({ type: "ready", about: { device, backend, precision, card } });
    setInterval(() => void beat(started), BEAT_MILLISECONDS);
    endWithServer();
  } catch (error) {
    send({ type: "refused", error: failureOf(error) });
  }
}

async function beat(running: PictureEngine): Promise<void> {
  send({ type: "beat", memory: await running.memory(), loaded: running.loaded() });
}

async function draw(running: PictureEngine, job: EngineJob): Promise<void> {
  const abort = new AbortController();
  aborts.set(job.id, abort);
  const span = startSpan(running, job);
  let failure: unknown;
  let end: FromEngine = { type: "finished", job: job.id };
  try {
    for await (const event of running.submit(job, abort.signal)) {
      if (event.type === "progress") span.event(event.phase, { step: event.step, of: event.totalSteps });
      if (event.type === "picture") {
        send({ type: "picture", job: job.id, picture: await encodePicture(event.picture, job.request) });
      } else {
        send({ ...event, job: job.id });
      }
    }
  } catch (error) {
    failure = error;
    end = { type: "failed", job: job.id, error: failureOf(error) };
  }
  aborts.delete(job.id);
  // Before the server hears of it and goes on, so that the spans of a trace follow one another.
  span.end(failure);
  send(end);
}

function startSpan(
  { backend, device, precision }: PictureEngine,
  { id, checkpoint, request, traceparent }: EngineJob,
): TraceSpan {
  const { width, height, steps, n } = request;
  const attributes = { job: id, model: checkpoint.id, width, height, steps, pictures: n, backend, device, precision };
  return tracing.start("engine", { parent: traceparent, attributes });
}

async function answer(call: number, work: () => Promise<unknown>): Promise<void> {
  try {
    send({ type: "answer", call, value: await work() });
  } catch (error) {
    send({ type: "error", call, error: failureOf(error) });
  }
}

function receive(message: ToEngine): void {
  if (message.type === "start") {
    void start(message.options);
    return;
  }
  const running = engine;
  if (!running) return;
  switch (message.type) {
    case "submit":
      void draw(running, message.job);
      break;
    case "cancel":
      aborts.get(message.job)?.abort();
      break;
    case "load":
      void answer(message.call, async () => {
        await running.load(message.model);
        await beat(running);
      });
      break;
    case "unload":
      void answer(message.call, async () => {
        await running.unload(message.id);
        // The server knows what is in memory before it answers whoever asked.
        await beat(running);
      });
      break;
    case "memory":
      void answer(message.call, async () => await running.memory());
      break;
    case "stop":
      void Promise.allSettled([running.close(), tracing.close()]).then(() => process.exit(0));
      break;
  }
}

process.on("message", receive);
process.on("disconnect", () => process.exit(0));
// The server decides when the engine ends; a Ctrl-C at the terminal reaches the whole group.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
