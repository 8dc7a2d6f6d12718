import { useEffect } from "react";
import type { Jobs } from "../features/history/use-jobs.ts";

/** Workers say every five seconds how many jobs they hold: one look for the queue, which is true at once, and one after such a report. */
const LOOKS_AFTER_MILLISECONDS = [500, 6_000] as const;

/** Asks for the queue's length when one of the person's own jobs changes its state, so that the header is not the last to know. */
export function useFreshQueue({ state }: Jobs, look: () => void): void {
  const states = state.jobs.map(({ id, status }) => `${id} ${status}`).join();
  useEffect(() => {
    if (states === "") return;
    const timers = LOOKS_AFTER_MILLISECONDS.map((after) => setTimeout(look, after));
    return () => {
      for (const timer of timers) clearTimeout(timer);
    };
  }, [states, look]);
}
