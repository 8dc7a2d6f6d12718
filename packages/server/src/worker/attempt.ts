import type { Logger } from "pino";
import { type EncodedPicture, FATAL_CODES } from "../engine/protocol.ts";
import { EngineDied, type EngineNews, type EngineSupervisor } from "../engine/supervisor.ts";
import { codeOf, messageOf } from "../errors.ts";
import type { EventBus } from "../events/bus.ts";
import { newId } from "../jobs/ids.ts";
import { infotextOf } from "../jobs/infotext.ts";
import { MAX_ATTEMPTS, MAX_ENGINE_DEATHS } from "../jobs/limits.ts";
import { pictureKeys } from "../jobs/picture-keys.ts";
import type { PicturesIn } from "../jobs/pictures-in.ts";
import type { Catalogue } from "../models/catalogue.ts";
import { withoutPaths } from "../private-paths.ts";
import type { FinishedJob, JobRow, JobStore } from "../records/job-store.ts";
import type { JobTimings } from "../records/schema.ts";
import type { Storage } from "../storage/storage.ts";
import type { TraceSpan, Tracing } from "../tracing/tracing.ts";
import { engineJobOf } from "./engine-job.ts";
import { AttemptClock } from "./progress.ts";
import { withRetries } from "./retry.ts";

export interface AttemptParts {
  store: JobStore;
  storage: Storage;
  bus: EventBus;
  supervisor: EngineSupervisor;
  catalogue: Catalogue;
  pictures: PicturesIn;
  workerId: string;
  tracing: Tracing;
  log: Logger;
  onStarted(job: JobRow): void;
  /** Seconds between two steps of one job. */
  onStep(seconds: number): void;
  onEnded(job: JobRow, status: "completed" | "failed" | "cancelled", timings: JobTimings): void;
}

/** `again`: run it once more here, alone if an engine died of it. */
export type AttemptResult = "done" | "again" | "hand-back";

/**
 * Runs a job once and records how it ended. Raises only when the records cannot be reached: the queue then delivers
 * the job again, and whoever takes it finds out what is recorded.
 */
export async function runAttempt(id: string, signal: AbortSignal, parts: AttemptParts): Promise<AttemptResult> {
  const { store, bus, log } = parts;
  const row = await withRetries(() => store.claim(id, parts.workerId), retryLog(log, "the records do not answer"));
  if (!row) return "done";
  const attempt = new Attempt(row, { ...parts, log: log.child({ job: id, request_id: row.origin?.request_id }) });
  if (row.cancel_requested) return await attempt.end("cancelled", "cancelled", "The job was cancelled.");
  if (row.deadline_at && row.deadline_at.getTime() <= Date.now())
    return await attempt.end("failed", "deadline_exceeded", "The job's deadline passed while it was waiting.");
  if (row.attempts > MAX_ATTEMPTS)
    return await attempt.end("failed", "attempts_exhausted", `The job was tried ${MAX_ATTEMPTS} times.`);
  parts.onStarted(row);
  bus.publish({ type: "job", job: id, owner: row.owner });
  const span = startSpan(row, parts);
  try {
    const pictures = await attempt.draw(signal, span);
    const finished = await attempt.keep(pictures, span);
    const result = await attempt.complete(finished);
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    return await attempt.fail(error, signal);
  }
}

/** The job's wait, which is over, and the span of this attempt. */
function startSpan(
  { id, origin, created_at, priority, model, attempts }: JobRow,
  { tracing, workerId }: AttemptParts,
): TraceSpan {
  const parent = origin?.traceparent;
  const attributes = {
    job: id,
    priority,
    model,
    attempt: attempts,
    worker: workerId,
    "kiln.request_id": origin?.request_id ?? "",
  };
  tracing.start("queue wait", { parent, startedAt: created_at, attributes: { job: id, priority } }).end();
  return tracing.start("job", { kind: "consumer", parent, attributes });
}

function retryLog(log: Logger, what: string) {
  return (error: unknown, pause: number) => log.warn({ reason: messageOf(error), pause }, `${what}; trying again`);
}

class Attempt {
  readonly #row: JobRow;
  readonly #parts: AttemptParts;
  readonly #clock: AttemptClock;
  readonly #warnings: string[] = [];

  constructor(row: JobRow, parts: AttemptParts) {
    this.#row = row;
    this.#parts = parts;
    this.#clock = new AttemptClock(row.created_at);
  }

  async draw(signal: AbortSignal, { traceparent }: TraceSpan): Promise<EncodedPicture[]> {
    const { catalogue, pictures, supervisor } = this.#parts;
    const job = await engineJobOf(this.#row, catalogue, pictures);
    return await supervisor.run({ ...job, ...(traceparent === "" ? {} : { traceparent }) }, signal, (news) => this.#tell(news));
  }

  /** Stores the pictures, whole, before anybody hears of them. */
  async keep(pictures: EncodedPicture[], { traceparent }: TraceSpan): Promise<FinishedJob> {
    const span = this.#parts.tracing.start("storage", { parent: traceparent, attributes: { pictures: pictures.length } });
    try {
      const finished = await this.#store(pictures);
      span.end();
      return finished;
    } catch (error) {
      span.end(error);
      throw error;
    }
  }

  async #store(pictures: EncodedPicture[]): Promise<FinishedJob> {
    const { storage, log } = this.#parts;
    const { id, request } = this.#row;
    const images: FinishedJob["images"] = [];
    for (const picture of pictures) {
      const { key, thumbnailKey } = pictureKeys(id, request, picture.index);
      await withRetries(
        async () =>
          await Promise.all([
            storage.put(key, picture.bytes, `image/${picture.format}`),
            storage.put(thumbnailKey, picture.thumbnail, "image/jpeg"),
          ]),
        retryLog(log, "the storage does not take a picture"),
      );
      const { index, seed, width, height, format, bytes } = picture;
      images.push({
        id: newId("img"),
        position: index,
        key,
        thumbnail_key: thumbnailKey,
        width,
        height,
        seed,
        format,
        bytes: bytes.length,
      });
    }
    return { images, timings: this.#clock.timings(), parameters: infotextOf(request), warnings: [...new Set(this.#warnings)] };
  }

  async complete(finished: FinishedJob): Promise<AttemptResult> {
    const { store, bus, log, onEnded } = this.#parts;
    const { id, owner, attempts } = this.#row;
    const current = await withRetries(
      () => store.complete(id, attempts, finished),
      retryLog(log, "the records do not take the end of a job"),
    );
    // Otherwise another worker has the job by now, or it was ended; its pictures lie at the same keys.
    if (current) onEnded(this.#row, "completed", finished.timings);
    bus.publish({ type: "job", job: id, owner });
    return "done";
  }

  async fail(error: unknown, signal: AbortSignal): Promise<AttemptResult> {
    const code = codeOf(error);
    if (error instanceof EngineDied) return await this.#afterDeath(error.evidence, "engine_crashed", signal);
    if (code !== undefined && FATAL_CODES.has(code)) return await this.#afterDeath(messageOf(error), code, signal);
    if (code === "cancelled" && signal.aborted) return await this.#stopped(signal);
    if (code === "storage_full" || code === "unavailable") return await this.#giveBack();
    this.#parts.log.info({ code, reason: messageOf(error) }, "a job failed");
    return await this.end("failed", code ?? "generation_failed", messageOf(error));
  }

  /** The engine died with this job in flight: it goes on alone, and is set aside when that engine dies too. */
  async #afterDeath(evidence: string, code: string, signal: AbortSignal): Promise<AttemptResult> {
    if (signal.aborted) return await this.#stopped(signal);
    const { store, bus, log } = this.#parts;
    const { id, owner, attempts, engine_deaths } = this.#row;
    await withRetries(
      () => store.requeue(id, attempts, { evidence, countAttempt: true }),
      retryLog(log, "the records do not take a job back"),
    );
    if (engine_deaths + 1 >= MAX_ENGINE_DEATHS) {
      return await this.end(
        "failed",
        code,
        `The job was set aside after ${engine_deaths + 1} engine failures; the last: ${evidence.slice(0, 500)}`,
      );
    }
    bus.publish({ type: "job", job: id, owner });
    return "again";
  }

  async #stopped(signal: AbortSignal): Promise<AttemptResult> {
    if (signal.reason === "drain") return await this.#giveBack();
    if (signal.reason === "deadline")
      return await this.end("failed", "deadline_exceeded", "The job's deadline passed while it was running.");
    return await this.end("cancelled", "cancelled", "The job was cancelled.");
  }

  /** Through no fault of the job. */
  async #giveBack(): Promise<AttemptResult> {
    const { store, bus, log } = this.#parts;
    const { id, owner, attempts } = this.#row;
    await withRetries(
      () => store.requeue(id, attempts, { countAttempt: false }),
      retryLog(log, "the records do not take a job back"),
    );
    bus.publish({ type: "job", job: id, owner });
    return "hand-back";
  }

  async end(status: "failed" | "cancelled", code: string, message: string): Promise<AttemptResult> {
    const { store, bus, log, onEnded } = this.#parts;
    const { id, owner, attempts } = this.#row;
    const ended = await withRetries(
      () => store.end(id, attempts, status, { code, message: withoutPaths(message) }),
      retryLog(log, "the records do not take the end of a job"),
    );
    if (ended) onEnded(this.#row, status, this.#clock.timings());
    bus.publish({ type: "job", job: id, owner });
    return "done";
  }

  #tell(news: EngineNews): void {
    const { bus } = this.#parts;
    const { id, owner } = this.#row;
    if (news.type === "progress") {
      const { progress, stepSeconds } = this.#clock.note(news);
      if (stepSeconds !== undefined) this.#parts.onStep(stepSeconds);
      bus.publish({ type: "progress", job: id, owner, progress });
    } else if (news.type === "warning") this.#warnings.push(withoutPaths(news.message));
    else
      bus.publish({
        type: "preview",
        job: id,
        owner,
        index: news.index,
        image: `data:image/webp;base64,${Buffer.from(news.webp).toString("base64")}`,
      });
  }
}
