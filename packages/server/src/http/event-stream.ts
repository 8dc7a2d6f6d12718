import type { FastifyReply } from "fastify";

/** More often than proxies close connections on which nothing comes. */
export const HEARTBEAT_MILLISECONDS = 15_000;

/**
 * An answer of Server-Sent Events, kept open with a comment now and then. It has to be ended, also when its reader has gone;
 * a reader whose key is revoked is made to go.
 */
export class EventStream {
  readonly #raw: FastifyReply["raw"];
  readonly #beat: NodeJS.Timeout;

  /** Takes the answer over from Fastify and begins it, with the headers that hooks have set. */
  constructor(reply: FastifyReply) {
    const headers = Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]);
    reply.hijack();
    this.#raw = reply.raw;
    this.#raw.on("error", () => {}); // the reader went away, which `isClosed` says
    this.#raw.writeHead(200, {
      ...Object.fromEntries(headers),
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
    this.#beat = setInterval(() => void this.#keepOpen(reply), HEARTBEAT_MILLISECONDS);
  }

  async #keepOpen({ request }: FastifyReply): Promise<void> {
    if (!(await request.isStillAdmitted())) this.#raw.destroy();
    else if (!this.#raw.writableEnded) this.#raw.write(": still here\n\n");
  }

  get isClosed(): boolean {
    return this.#raw.destroyed;
  }

  /** What the reader has not taken yet. */
  get backlogBytes(): number {
    return this.#raw.writableLength;
  }

  onClose(listener: () => void): void {
    this.#raw.once("close", listener);
  }

  /** @param id what the reader names as Last-Event-ID when it comes back */
  send(event: string, data: unknown, id?: string): void {
    if (this.isClosed) return;
    this.#raw.write(`event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    clearInterval(this.#beat);
    this.#raw.end();
  }
}
