import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * Addresses of pictures that open without a key until they expire: an `<img>`, or a client that fetches what an answer
 * links to, sends no header. The signature is HMAC-SHA256 over path and expiry, so that it is good for that one picture.
 */
export class PictureLinks {
  readonly #secret: Buffer;
  readonly #seconds: number;
  readonly #isNeeded: () => Promise<boolean>;

  /**
   * @param seconds how long a link holds; 0 signs none
   * @param isNeeded whether pictures need a key at all at the moment
   */
  constructor(secret: Buffer, seconds: number, isNeeded: () => Promise<boolean>) {
    this.#secret = secret;
    this.#seconds = seconds;
    this.#isNeeded = isNeeded;
  }

  /** The path, with what opens it where that is needed. */
  async sign(path: string): Promise<string> {
    if (this.#seconds === 0 || !(await this.#isNeeded())) return path;
    const expires = String(Math.floor(Date.now() / 1000) + this.#seconds);
    return `${path}?${new URLSearchParams({ expires, signature: this.#signatureOf(path, expires).toString("base64url") })}`;
  }

  /** Whether an address, path and query, carries a signature of this installation that has not expired. */
  holds(url: string): boolean {
    const [path = "", search = ""] = url.split("?", 2);
    const query = new URLSearchParams(search);
    const [expires, signature] = [query.get("expires"), query.get("signature")];
    if (expires === null || signature === null) return false;
    const given = Buffer.from(signature, "base64url");
    const expected = this.#signatureOf(path, expires);
    const isOurs = given.length === expected.length && timingSafeEqual(given, expected);
    return isOurs && Number(expires) > Date.now() / 1000;
  }

  #signatureOf(path: string, expires: string): Buffer {
    return createHmac("sha256", this.#secret).update(`${path}\n${expires}`).digest();
  }
}
