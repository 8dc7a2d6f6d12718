import { useEffect } from "react";
import type { Jobs } from "../features/history/use-jobs.ts";

/** A worker says how many jobs it holds a moment after it took or ended one. */
const SETTLED_MILLISECONDS = 1_500;

/** Asks for the queue's length when one of the person's own jobs changes its state, so that the header is not the last to know. */
export function useFreshQueue({ state }: Jobs, look: () => void): void {
  const states = state.jobs.map(({ id, status }) => `${id} ${status}`).join();
  useEffect(() => {
    if (states === "") return;
    const timer = setTimeout(look, SETTLED_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [states, look]);
}
