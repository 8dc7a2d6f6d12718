import type { FastifyReply, FastifyRequest } from "fastify";
import sharp from "sharp";
import { messageOf } from "../../errors.ts";
import type { BusEvent } from "../../events/bus.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { EventStream } from "../../http/event-stream.ts";
import { asServiceError, logFailure } from "../../http/problem.ts";
import type { JobView } from "../../jobs/job-view.ts";
import { waitForPictures } from "../draw-now.ts";
import { base64Of, factsOf, NO_USAGE } from "./answer.ts";
import { asOpenAiError } from "./errors.ts";
import type { CommonFields } from "./request.ts";

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
  const stream = new EventStream(reply);
  const partials = new PartialPictures(kind, jobs, fields, context, stream);
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
        send(stream, `${kind}.completed`, { b64_json, created_at, ...factsOf(fields, row.request, image), usage: NO_USAGE });
      }
    }
  } catch (error) {
    const refusal = asServiceError(error);
    if (!stream.isClosed) logFailure(refusal, error, request);
    send(stream, "error", { error: asOpenAiError(refusal).error });
  } finally {
    stop();
    stream.end();
  }
  return reply;
}

/** OpenAI's events say their type inside too. */
function send(stream: EventStream, type: string, data: object): void {
  stream.send(type, { type, ...data });
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
  readonly #stream: EventStream;
  readonly #wanted: number;
  /** By job and place in it. */
  readonly #shown = new Map<string, Shown>();

  constructor(kind: StreamKind, jobs: readonly JobView[], fields: CommonFields, context: ServerContext, stream: EventStream) {
    this.#kind = kind;
    this.#jobs = jobs;
    this.#fields = fields;
    this.#context = context;
    this.#stream = stream;
    this.#wanted = fields.partial_images ?? 0;
  }

  note(event: BusEvent): void {
    if (event.type !== "preview") return;
    const job = this.#jobs.find(({ id }) => id === event.job);
    const key = `${event.job} ${event.index}`;
    const shown = this.#shown.get(key) ?? { sent: 0, sending: undefined };
    if (!job || shown.sending || shown.sent >= this.#wanted || this.#stream.backlogBytes > SLOW_READER_BYTES) return;
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
    send(this.#stream, `${this.#kind}.partial_image`, {
      b64_json: bytes.toString("base64"),
      created_at: Math.floor(Date.now() / 1000),
      partial_image_index: shown.sent,
      ...factsOf(this.#fields, { output }, { width, height }),
    });
    shown.sent++;
  }
}
