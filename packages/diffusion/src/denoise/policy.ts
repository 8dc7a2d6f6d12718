import type { Slot } from "./slot.ts";
import { sharesCall } from "./step.ts";

/** A slot that waits for its next step. */
export interface Candidate {
  readonly slot: Slot;
  /** Higher goes first. */
  readonly priority: number;
  /** The number of the call in which it had its latest step; 0 before its first. */
  readonly lastCall: number;
}

/** Chooses the slots of the next call; all of them must share a call, and their rows must fit. */
export type Policy = (candidates: readonly Candidate[], maxRows: number) => readonly Candidate[];

/**
 * The highest priority first, and among equals the one that has waited longest; then every other slot that shares its call,
 * in the same order, until the batch is full. So an urgent picture is never more than one step away, pictures of equal
 * priority take turns, and one that is left out goes on later from where it stands.
 */
export const fairPolicy: Policy = (candidates, maxRows) => {
  const [first, ...rest] = [...candidates].sort((a, b) => b.priority - a.priority || a.lastCall - b.lastCall);
  if (!first) return [];
  const chosen = [first];
  let rows = first.slot.rows;
  for (const candidate of rest) {
    if (rows + candidate.slot.rows > maxRows || !sharesCall(first.slot, candidate.slot)) continue;
    chosen.push(candidate);
    rows += candidate.slot.rows;
  }
  return chosen;
};
