import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { z } from "zod";

/** Who asked Vast.ai's autoscaler for a worker, signed by it. */
const authSchema = z.object({
  signature: z.string().max(2000),
  cost: z.union([z.string().max(100), z.number()]),
  endpoint: z.string().max(500),
  reqnum: z.int(),
  url: z.string().max(2000),
});

export type AuthData = z.output<typeof authSchema>;

/** A body with its two parts, or what is wrong in it, by part. */
export type Opened<Payload> = { auth: AuthData; payload: Payload } | { errors: Record<string, unknown> };

/** What is answered to a body that is no envelope at all. */
export const NO_ENVELOPE = { error: "invalid JSON" };

/** @param readPayload gives the payload, or what is wrong in it by field */
export function openEnvelope<Payload>(
  body: unknown,
  readPayload: (payload: unknown) => { payload: Payload } | { faults: Record<string, string> },
): Opened<Payload> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return { errors: NO_ENVELOPE };
  const auth = Object.hasOwn(body, "auth_data") ? authSchema.safeParse(Reflect.get(body, "auth_data")) : undefined;
  const read = Object.hasOwn(body, "payload") ? readPayload(Reflect.get(body, "payload")) : undefined;
  if (auth?.success && read && "payload" in read) return { auth: auth.data, payload: read.payload };
  return {
    errors: {
      ...(auth?.success ? {} : { auth_data: auth ? faultsOf(auth.error, Reflect.get(body, "auth_data")) : "field missing" }),
      ...(read ? ("faults" in read ? { payload: read.faults } : {}) : { payload: "field missing" }),
    },
  };
}

function faultsOf({ issues }: z.ZodError, value: unknown): Record<string, string> | string {
  const [whole] = issues.filter(({ path }) => path.length === 0);
  if (whole || typeof value !== "object" || value === null) return whole?.message ?? "must be an object";
  return Object.fromEntries(
    issues.map(({ path: [name = ""], message }) => [String(name), Object.hasOwn(value, name) ? message : "missing parameter"]),
  );
}

/** Requests that are remembered, and how far behind the newest one a number may be. */
const HISTORY = 100;

/** Decides whether a signed request is the autoscaler's, and not one that was sent before. */
export class SignatureCheck {
  readonly #key: () => Promise<KeyObject | undefined>;
  readonly #seen: string[] = [];
  #newest = -1;

  constructor(key: () => Promise<KeyObject | undefined>) {
    this.#key = key;
  }

  async accepts({ signature, cost, endpoint, reqnum, url }: AuthData): Promise<boolean> {
    const message = pythonJson({ cost, endpoint, reqnum, url });
    if (reqnum < this.#newest - HISTORY || this.#seen.includes(message)) return false;
    const key = await this.#key();
    if (!key || !verify("sha256", Buffer.from(message), key, Buffer.from(signature, "base64"))) return false;
    // A second look: the same request may have come while the key was being fetched.
    if (this.#seen.includes(message)) return false;
    this.#newest = Math.max(this.#newest, reqnum);
    this.#seen.push(message);
    if (this.#seen.length > HISTORY) this.#seen.shift();
    return true;
  }
}

/** The text that is signed: as Python's json.dumps(message, indent=4) writes it. */
export function pythonJson(message: object): string {
  return JSON.stringify(message, null, 4).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A PEM is some hundred characters. */
const MAX_KEY_CHARACTERS = 10_000;
const KEY_MILLISECONDS = 5_000;
/** Between two attempts to fetch the key. */
const KEY_PAUSE_MILLISECONDS = 15_000;

/** The autoscaler's public key (RSA, PKCS #1 v1.5 with SHA-256), fetched once from `/pubkey/` of one of its addresses. */
export class AutoscalerKey {
  readonly #addresses: readonly string[];
  #key: KeyObject | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  async get(): Promise<KeyObject | undefined> {
    if (this.#key || performance.now() - this.#triedAt < KEY_PAUSE_MILLISECONDS) return this.#key;
    this.#triedAt = performance.now();
    for (const address of this.#addresses) {
      this.#key = await fetchKey(`${address}/pubkey/`).catch(() => undefined);
      if (this.#key) break;
    }
    return this.#key;
  }
}

async function fetchKey(url: string): Promise<KeyObject | undefined> {
  const response = await fetch(url, { signal: AbortSignal.timeout(KEY_MILLISECONDS), redirect: "error" });
  const text = response.ok ? await response.text() : "";
  if (text === "" || text.length > MAX_KEY_CHARACTERS) return undefined;
  const key = createPublicKey(text);
  return key.asymmetricKeyType === "rsa" ? key : undefined;
}
