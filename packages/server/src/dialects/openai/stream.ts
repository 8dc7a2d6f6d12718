import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import sharp from "sharp";
import { messageOf } from "../../errors.ts";
import type { BusEvent } from "../../events/bus.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { asServiceError, logFailure } from "../../http/problem.ts";
import type { JobView } from "../../jobs/job-view.ts";
import { waitForPictures } from "../draw-now.ts";
import { base64Of, factsOf, NO_USAGE } from "./answer.ts";
import { asOpenAiError } from "./errors.ts";
import type { CommonFields } from "./request.ts";

const HEARTBEAT_MILLISECONDS = 15_000;
/** A reader that is this far behind gets no partial pictures. */
const SLOW_READER_BYTES = 4 * 1024 * 1024;

export type StreamKind = "image_generation" | "image_edit";

/** Answers with Server-Sent Events: partial pictures while the picture is made, then each finished one. */
export async function streamPictures(
  kind: StreamKind,
  jobs: readonly JobView[],
  fields: CommonFields,
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const headers = Object.entries(reply.getHeaders()).map(([name, value]): [string, string] => [name, String(value)]);
  reply.hijack();
  const { raw } = reply;
  raw.on("error", () => {}); // the client went away, which the wait below notices
  raw.writeHead(200, {
    ...Object.fromEntries(headers),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
  });
  const beat = setInterval(() => raw.write(": still here\n\n"), HEARTBEAT_MILLISECONDS);
  const partials = new PartialPictures(kind, jobs, fields, context, raw);
  const stop = context.bus.subscribe((event) => partials.note(event));
  try {
    const done = await waitForPictures(
      jobs.map(({ id }) => id),
      context,
      request,
      reply,
    );
    stop();
    await partials.settled();
    for (const { row, images } of done) {
      for (const image of images) {
        const created_at = Math.floor((row.finished_at ?? new Date()).getTime() / 1000);
        const b64_json = await base64Of(image, context);
        send(raw, `${kind}.completed`, { b64_json, created_at, ...factsOf(fields, row.request, image), usage: NO_USAGE });
      }
    }
  } catch (error) {
    const refusal = asServiceError(error);
    if (!raw.destroyed) logFailure(refusal, error, request);
    send(raw, "error", { error: asOpenAiError(refusal).error });
  } finally {
    stop();
    clearInterval(beat);
    raw.end();
  }
  return reply;
}

function send(raw: ServerResponse, type: string, data: object): void {
  if (!raw.destroyed) raw.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
}

/** What a picture has shown of itself. */
interface Shown {
  sent: number;
  sending: Promise<void> | undefined;
}

/** Sends of each picture at most as many previews as were asked for, spread over the steps, in the format and size of the picture. */
class PartialPictures {
  readonly #kind: StreamKind;
  readonly #jobs: readonly JobView[];
  readonly #fields: CommonFields;
  readonly #context: ServerContext;
  readonly #raw: ServerResponse;
  readonly #wanted: number;
  /** By job and place in it. */
  readonly #shown = new Map<string, Shown>();

  constructor(kind: StreamKind, jobs: readonly JobView[], fields: CommonFields, context: ServerContext, raw: ServerResponse) {
    this.#kind = kind;
    this.#jobs = jobs;
    this.#fields = fields;
    this.#context = context;
    this.#raw = raw;
    this.#wanted = fields.partial_images ?? 0;
  }

  note(event: BusEvent): void {
    if (event.type !== "preview") return;
    const job = this.#jobs.find(({ id }) => id === event.job);
    const key = `${event.job} ${event.index}`;
    const shown = this.#shown.get(key) ?? { sent: 0, sending: undefined };
    if (!job || shown.sending || shown.sent >= this.#wanted || this.#raw.writableLength > SLOW_READER_BYTES) return;
    const percent = this.#context.jobs.progressOf(event.job)?.percent ?? 0;
    if (percent < (100 * shown.sent) / this.#wanted) return;
    this.#shown.set(key, shown);
    shown.sending = this.#show(job, event.image, shown)
      // A partial picture that fails is none; the finished one still comes.
      .catch((error: unknown) => this.#context.log.debug({ reason: messageOf(error) }, "no partial picture"))
      .finally(() => {
        shown.sending = undefined;
      });
  }

  async settled(): Promise<void> {
    await Promise.all([...this.#shown.values()].map(({ sending }) => sending));
  }

  async #show({ request }: JobView, dataUrl: string, shown: Shown): Promise<void> {
    const { width, height, output } = request;
    const preview = Buffer.from(dataUrl.slice(dataUrl.indexOf(",") + 1), "base64");
    const bytes = await sharp(preview)
      .resize(width, height, { fit: "fill" })
      .toFormat(output.format ?? "png")
      .toBuffer();
    send(this.#raw, `${this.#kind}.partial_image`, {
      b64_json: bytes.toString("base64"),
      created_at: Math.floor(Date.now() / 1000),
      partial_image_index: shown.sent,
      ...factsOf(this.#fields, { output }, { width, height }),
    });
    shown.sent++;
  }
}
