import { lookup } from "node:dns/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { KeysMarker } from "../auth/keys-marker.ts";
import { ownHost } from "../auth/own-host.ts";
import { isLoopback, type Listener } from "../settings/listen.ts";
import type { Settings } from "../settings/schema.ts";
import { PAGE_HEADERS, readPage, readPageFile, wantsPage } from "./page-files.ts";
import { closeStalledReaders } from "./stalled-readers.ts";

/** Time for a whole request to arrive: 64 MB over a slow line, but not for ever. */
const REQUEST_MILLISECONDS = 300_000;
/** An idle connection is kept for a client's next request; longer than the minute after which most balancers drop it. */
const KEEP_ALIVE_MILLISECONDS = 72_000;
/** Requests that wait for the application at the start. It takes seconds; more callers than these are a flood. */
const MAX_HELD = 1000;
const STARTING_RETRY_SECONDS = 1;

/**
 * The sockets of one listener, open before anything else of the service is. Until the application leads, the door
 * itself says that the process lives, that it is not ready, and shows the page to the person at this machine;
 * everybody else waits inside, with their bodies unread, and is served once the application is there.
 */
export class FrontDoor {
  readonly listener: Listener;
  readonly #settings: Settings;
  readonly #servers: Server[] = [];
  #app: Server | undefined;
  #held: (() => void)[] = [];

  private constructor(listener: Listener, settings: Settings) {
    this.listener = listener;
    this.#settings = settings;
  }

  /** Opens the listener's address. Raises Node's own error where it is taken. */
  static async open(listener: Listener, settings: Settings): Promise<FrontDoor> {
    const door = new FrontDoor(listener, settings);
    const [first = listener.host, ...others] = await addressesOf(listener.host);
    await door.#listen(first, listener.port);
    // "localhost" has two addresses on most machines; one that the machine lacks is no reason not to start.
    for (const host of others) await door.#listen(host, door.port).catch(() => {});
    return door;
  }

  get port(): number {
    const address = this.#servers[0]?.address();
    return typeof address === "object" && address !== null ? address.port : this.listener.port;
  }

  get url(): string {
    const { host } = this.listener;
    return `http://${host.includes(":") ? `[${host}]` : host}:${this.port}`;
  }

  /** From now on the application answers, and first those who wait. Its server needs no address of its own. */
  lead(app: Server): void {
    this.#app = app;
    for (const serve of this.#held.splice(0)) serve();
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map(async (server) => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        await closed;
      }),
    );
  }

  async #listen(host: string, port: number): Promise<void> {
    const server = createServer({ requestTimeout: REQUEST_MILLISECONDS, keepAliveTimeout: KEEP_ALIVE_MILLISECONDS });
    closeStalledReaders(server);
    server.on("request", (request, response) => this.#receive(request, response));
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    server.on("clientError", (error, socket) => {
      if (!this.#app?.emit("clientError", error, socket)) socket.destroy();
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    this.#servers.push(server);
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    if (this.#app) {
      this.#app.emit("request", request, response);
      return;
    }
    if (this.#answerEarly(request, response)) return;
    if (this.#held.length >= MAX_HELD) {
      sendStarting(response);
      return;
    }
    this.#held.push(() => {
      if (!response.destroyed && !request.socket.destroyed) this.#app?.emit("request", request, response);
    });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#app) {
      this.#app.emit("upgrade", request, socket, head);
      return;
    }
    if (this.#held.length >= MAX_HELD) {
      socket.destroy();
      return;
    }
    const ignore = () => {}; // a client that goes away while it waits
    socket.on("error", ignore);
    this.#held.push(() => {
      socket.off("error", ignore);
      if (!socket.destroyed) this.#app?.emit("upgrade", request, socket, head);
    });
  }

  /** What can be answered before anything is known. @returns whether it was */
  #answerEarly({ method = "", url = "", headers }: IncomingMessage, response: ServerResponse): boolean {
    if (method !== "GET") return false;
    if (url === "/healthz") {
      response.writeHead(200, { "content-type": "application/json; charset=utf-8" }).end('{"status":"ok"}');
      return true;
    }
    if (url === "/readyz") {
      sendStarting(response);
      return true;
    }
    const file = readPageFile(url);
    if (file) {
      response.writeHead(200, file.headers).end(file.bytes);
      return true;
    }
    if (!wantsPage(method, url, headers.accept) || !this.#needsNoKey(headers.host)) return false;
    response.writeHead(200, PAGE_HEADERS).end(readPage());
    return true;
  }

  /** Whether the page surely needs no key. Whoever is not at this machine, or may need one, waits until the keys are known. */
  #needsNoKey(host: string | undefined): boolean {
    const { KILN_TRUST_PROXY, KILN_HOSTS } = this.#settings;
    if (!isLoopback(this.listener.host) || KILN_TRUST_PROXY || !ownHost(host, KILN_HOSTS)) return false;
    return KeysMarker.of(this.#settings)?.isSet === false;
  }
}

/** A problem as RFC 9457 has it; the application that says it otherwise is not there yet. */
function sendStarting(response: ServerResponse): void {
  const problem = {
    type: "urn:kiln:error:unavailable",
    title: "Service Unavailable",
    status: 503,
    detail: "The service is starting.",
    code: "unavailable",
  };
  const headers = { "content-type": "application/problem+json", "retry-after": String(STARTING_RETRY_SECONDS) };
  response.writeHead(503, headers).end(JSON.stringify(problem));
}

async function addressesOf(host: string): Promise<string[]> {
  if (host !== "localhost") return [host];
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
