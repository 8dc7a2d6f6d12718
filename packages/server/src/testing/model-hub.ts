import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the stand-in does wrong, for one file or for all. */
export interface HubFaults {
  /** The first so many answers of the CDN break off after half of what they owe. */
  truncate?: number;
  /** The CDN sends whole files, whatever range it is asked for. */
  ignoreRange?: boolean;
  /** The CDN sends other bytes of the same length. */
  corrupt?: boolean;
  /** The first so many answers of the CDN are 503. */
  away?: number;
  /** The CDN sends half and then nothing, this many times. */
  stall?: number;
  /** Ranges that start behind the end are answered 416, as S3 does. */
  unsatisfiable?: boolean;
}

export interface HubRequest {
  host: "hub" | "cdn";
  path: string;
  range: string | undefined;
  authorization: string | undefined;
}

export interface Repository {
  /** By path. Safetensors are kept as LFS objects, everything else in git, as on the hub. */
  files: Record<string, Buffer>;
  /** The token that reads it. */
  token?: string;
  gated?: boolean;
}

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/**
 * A small stand-in for the Hugging Face hub and Civitai over real HTTP: listings, answers 302 to a CDN at another
 * origin, ranges, tokens, and faults.
 */
export class ModelHub {
  readonly repositories: Record<string, Repository> = {};
  /** Civitai's answers by path below /api/v1, and its files by version. */
  readonly civitai: Record<string, unknown> = {};
  readonly civitaiFiles: Record<string, { content: Buffer; token?: string }> = {};
  readonly requests: HubRequest[] = [];
  faults: HubFaults = {};
  readonly #hub = createServer((request, response) => this.#answerHub(request, response));
  readonly #cdn = createServer((request, response) => this.#answerCdn(request, response));
  readonly #contents = new Map<string, Buffer>();

  async start(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }

  get url(): string {
    return addressOf(this.#hub);
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** How often the CDN was asked. */
  get downloads(): HubRequest[] {
    return this.requests.filter(({ host }) => host === "cdn");
  }

  #note(host: HubRequest["host"], request: IncomingMessage): void {
    const { range, authorization } = request.headers;
    this.requests.push({ host, path: request.url ?? "", range, authorization });
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    this.#note("hub", request);
    const { pathname } = new URL(request.url ?? "/", "http://hub");
    const token = request.headers.authorization?.replace(/^Bearer /, "");
    const [, listed, revision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)$/.exec(pathname) ?? [];
    if (listed !== undefined) {
      this.#list(listed, revision ?? "", token, response);
      return;
    }
    const [, resolved, path] = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(pathname) ?? [];
    if (resolved !== undefined && path !== undefined) {
      this.#resolve(resolved, decodeURIComponent(path), token, response);
      return;
    }
    this.#answerCivitai(pathname, token, response);
  }

  #refuse(name: string, token: string | undefined): [number, string] | undefined {
    const repository = this.repositories[name];
    if (!repository) return token === undefined ? [401, "RepoNotFound"] : [404, "RepoNotFound"];
    if (repository.gated === true && token !== repository.token) return [403, "GatedRepo"];
    if (repository.token !== undefined && token !== repository.token) return [401, "RepoNotFound"];
    return undefined;
  }

  #list(name: string, revision: string, token: string | undefined, response: ServerResponse): void {
    const refusal =
      this.#refuse(name, token) ?? (["main", "v1", COMMIT].includes(revision) ? undefined : [404, "RevisionNotFound"]);
    if (refusal) {
      response.writeHead(Number(refusal[0]), { "x-error-code": String(refusal[1]) }).end();
      return;
    }
    const siblings = Object.entries(this.repositories[name]?.files ?? {}).map(([rfilename, content]) => ({
      rfilename,
      size: content.length,
      blobId: createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex"),
      ...(rfilename.endsWith(".safetensors") ? { lfs: { sha256: sha256(content), size: content.length, pointerSize: 135 } } : {}),
    }));
    sendJson(response, { id: name, sha: COMMIT, siblings });
  }

  #resolve(name: string, path: string, token: string | undefined, response: ServerResponse): void {
    const refusal = this.#refuse(name, token);
    if (refusal) {
      response.writeHead(refusal[0], { "x-error-code": refusal[1] }).end();
      return;
    }
    const content = this.repositories[name]?.files[path];
    if (!content) {
      response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
      return;
    }
    this.#redirect(path, content, response);
  }

  #answerCivitai(pathname: string, token: string | undefined, response: ServerResponse): void {
    const answer = this.civitai[pathname.replace("/api/v1/", "")];
    if (answer !== undefined) {
      sendJson(response, answer);
      return;
    }
    const file = this.civitaiFiles[/^\/api\/download\/models\/(\d+)$/.exec(pathname)?.[1] ?? ""];
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    if (file.token !== undefined && token !== file.token) {
      response.writeHead(401).end();
      return;
    }
    this.#redirect("model.safetensors", file.content, response);
  }

  #redirect(name: string, content: Buffer, response: ServerResponse): void {
    const key = `/${this.#contents.size}/${encodeURIComponent(name)}?signature=1`;
    this.#contents.set(key, content);
    response.writeHead(302, { location: addressOf(this.#cdn) + key, "x-linked-etag": `"${sha256(content)}"` }).end();
  }

  #answerCdn(request: IncomingMessage, response: ServerResponse): void {
    this.#note("cdn", request);
    const { faults } = this;
    const whole = this.#contents.get(request.url ?? "") ?? Buffer.alloc(0);
    if ((faults.away ?? 0) > 0) {
      faults.away = (faults.away ?? 0) - 1;
      response.writeHead(503, { "retry-after": "0" }).end();
      return;
    }
    const content = faults.corrupt === true ? Buffer.from(whole.map((byte) => byte ^ 1)) : whole;
    const start = faults.ignoreRange === true ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    if (start >= content.length && start > 0) {
      response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
      return;
    }
    const body = content.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": body.length,
      ...(start > 0 ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    const half = body.subarray(0, Math.ceil(body.length / 2));
    if ((faults.truncate ?? 0) > 0) {
      faults.truncate = (faults.truncate ?? 0) - 1;
      response.write(half, () => setTimeout(() => response.destroy(), 20));
    } else if ((faults.stall ?? 0) > 0) {
      faults.stall = (faults.stall ?? 0) - 1;
      response.write(half);
    } else response.end(body);
  }
}

export function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
