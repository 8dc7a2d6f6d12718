import { z } from "zod";

/** A number as text: as Python reads it, without its words for what is none. */
export const NUMBER = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?\s*$/i;
const WORDS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...(["true", "1", "yes", "on", 1] as const).map((word) => [word, true] as const),
  ...(["false", "0", "no", "off", 0] as const).map((word) => [word, false] as const),
]);

/** Forms and loosely typed clients send flags as words and numbers. */
export const looseFlag = z.preprocess(
  (value) => WORDS.get(typeof value === "string" ? value.trim().toLowerCase() : value) ?? value,
  z.boolean(),
);

/**
 * A seed as those services take it: -1 is a random one, as null and none are. Text keeps seeds whole that are too
 * long for a number of JSON.
 */
export const looseSeed = z
  .preprocess(
    (value) => (typeof value === "string" && NUMBER.test(value) ? value.trim().replace(/^\+/, "") : value),
    z.union([z.int().min(-1), z.string().regex(/^(?:-1|\d{1,20})$/, "must be a whole number of at least -1")]),
  )
  .nullish()
  .transform((seed) => (seed === undefined || seed === null || String(seed) === "-1" ? undefined : seed));
