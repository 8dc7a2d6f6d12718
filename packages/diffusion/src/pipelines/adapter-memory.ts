import { basename } from "node:path";
import type { Adapter } from "../adapters/adapter.ts";
import { KilnError } from "../errors.ts";
import { memoryInReach } from "./machine-memory.ts";

/** Of what is in reach: the pairs lie in memory twice for a moment, when those of several adapters are laid side by side. */
const USABLE_PART = 0.4;
/** Adapters below are never refused. */
const NEVER_REFUSED = 2 ** 28;

/**
 * Refuses an adapter before its numbers are read, where its pairs of matrices would not fit: a LoKr whose second factor is a
 * whole matrix has as much rank as the weights that it changes, some 10 GB over all layers of SDXL.
 * @param limit bytes that the process may take in all; undefined: what the machine or the container has.
 * @throws KilnError out_of_memory with the numbers
 */
export function checkAdapterFits({ path, memoryBytes }: Pick<Adapter, "path" | "memoryBytes">, limit?: number): void {
  const inReach = (limit ?? memoryInReach()) * USABLE_PART;
  if (memoryBytes <= Math.max(inReach, NEVER_REFUSED)) return;
  const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new KilnError(
    "out_of_memory",
    `${basename(path)} takes ${gibibytes(memoryBytes)} of memory beside the model, and ${gibibytes(inReach)} are there for adapters: use a version of lower rank, such as a LoRA, or free memory.`,
    { subject: path },
  );
}
