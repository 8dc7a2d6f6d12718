import { randomBytes } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** An id that sorts by its time of birth and cannot be guessed: 48 bits of milliseconds, 80 random ones, in base 32. */
export function newId(prefix: string, now = Date.now()): string {
  let time = "";
  for (let rest = now, digit = 0; digit < 10; digit++, rest = Math.floor(rest / 32)) time = (ALPHABET[rest % 32] ?? "0") + time;
  let random = "";
  for (const byte of randomBytes(16)) random += ALPHABET[byte % 32] ?? "0";
  return `${prefix}_${time}${random}`;
}
