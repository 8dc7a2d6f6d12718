import { totalmem } from "node:os";
import { z } from "zod";

const UNITS: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, MIB: 2 ** 20, GIB: 2 ** 30 };
/** Below, not even the process starts. */
const LEAST_BYTES = 256 * 2 ** 20;

/** `24GB`, `20GiB`, or a part of what the machine or the container has: `60%`. In bytes. */
export const memorySchema = z
  .string()
  .regex(/^\d+(\.\d+)?\s*(%|[MG]i?B)$/i, 'must be an amount such as "24GB", or a part such as "60%"')
  .transform((text) => {
    const amount = Number.parseFloat(text);
    const unit = text.replace(/^[\d.\s]+/, "").toUpperCase();
    return Math.floor(unit === "%" ? (memoryOfMachine() * Math.min(amount, 100)) / 100 : amount * (UNITS[unit] ?? 1));
  })
  .refine((bytes) => bytes >= LEAST_BYTES, "must be 256 MiB or more");

/** Bytes that the machine has, or that its container may take. */
export function memoryOfMachine(): number {
  const limit = process.constrainedMemory();
  // Without a limit the answer is 0 or a number beyond any machine, by the version of Node.
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
