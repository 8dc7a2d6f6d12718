import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

/** OWASP's least for scrypt where 32 MB may be used: N 2^15, r 8, p 3. */
const COST: ScryptOptions = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 ** 2 };
const KEY_BYTES = 32;

/** A password as it is stored: salt and key, in hex. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `${salt.toString("hex")}:${(await derive(password, salt)).toString("hex")}`;
}

/** Takes as long for a user who does not exist (`stored` undefined) as for one who does. */
export async function passwordFits(password: string, stored: string | undefined): Promise<boolean> {
  const [salt = "", key = ""] = (stored ?? "").split(":");
  const derived = await derive(password, Buffer.from(salt, "hex"));
  const known = Buffer.from(key, "hex");
  return known.length === KEY_BYTES && timingSafeEqual(known, derived);
}

async function derive(password: string, salt: Buffer): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, KEY_BYTES, COST, (error, key) => (error ? reject(error) : resolve(key)));
  });
}
