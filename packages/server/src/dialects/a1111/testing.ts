import sharp from "sharp";
import type { TestServer } from "../../testing/start-test-server.ts";

export const API = "/sdapi/v1";

export interface Drawn {
  images: string[];
  parameters: Record<string, unknown>;
  info: Record<string, unknown> & { infotexts: string[]; all_seeds: number[] };
}

/** What the tests of this face ask a server. */
export class A1111Calls {
  readonly #server: () => TestServer;

  constructor(server: () => TestServer) {
    this.#server = server;
  }

  get = async (path: string) => (await this.#server().call("GET", path)).json as Record<string, unknown>;

  post = async (path: string, body: unknown = {}) => await this.#server().call("POST", path, body);

  drawn = async (path: string, body: object): Promise<Drawn> => {
    const { status, json } = await this.post(API + path, body);
    if (status !== 200) throw new Error(`${path} is answered ${status}: ${JSON.stringify(json)}`);
    const { images, parameters, info } = json as { images: string[]; parameters: Record<string, unknown>; info: unknown };
    if (typeof info !== "string") throw new Error("info is no text");
    return { images, parameters, info: JSON.parse(info) as Drawn["info"] };
  };

  /** The native request of the latest job. */
  lastRequest = async (): Promise<Record<string, unknown>> => {
    const { jobs } = (await this.get("/v1/jobs?limit=1")) as { jobs: { request: Record<string, unknown> }[] };
    return jobs[0]?.request ?? {};
  };
}

export async function sizeOf(base64: string | undefined) {
  const { width, height, format } = await sharp(Buffer.from(base64 ?? "", "base64")).metadata();
  return { width, height, format };
}

/** A picture of one colour in base64. */
export async function flat(width: number, height: number, background: object = { r: 0, g: 0, b: 255 }): Promise<string> {
  const channels = "alpha" in background ? 4 : 3;
  return (await sharp({ create: { width, height, channels, background } }).png().toBuffer()).toString("base64");
}

export async function until<T>(look: () => Promise<T>, isThere: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look();
    if (isThere(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
