import { useCallback, useEffect, useRef, useState } from "react";
import { readSystemState } from "../../api/client.ts";
import { ApiProblem, sentenceOf } from "../../api/problem.ts";
import type { System } from "../../api/types.ts";

/** While all is well: often enough for the queue's length in the header to be true. */
const WATCH_MILLISECONDS = 10_000;
/** While the service is away: a restart takes seconds, so the page is back soon after it. */
const RETRY_MILLISECONDS = 2_000;

export interface Connection {
  readonly lost: boolean;
  /** Grows each time that the service answers again after a loss: what was read before may be old. */
  readonly epoch: number;
  readonly system: System | undefined;
  /** Why the service answers but refuses, such as for want of a key. */
  readonly refusal: string | undefined;
  /** Asks now, because something is known to have changed. */
  readonly look: () => void;
  /** To be told of any failed request; only a missing answer counts as a loss. */
  readonly report: (error: unknown) => void;
}

/** Watches whether the service answers. */
export function useConnection(): Connection {
  const [lost, setLost] = useState(false);
  const [epoch, setEpoch] = useState(0);
  const [system, setSystem] = useState<System>();
  const [refusal, setRefusal] = useState<string>();
  const wasLost = useRef(false);
  const current = useRef<() => void>(undefined);

  const report = useCallback((error: unknown) => {
    if (!(error instanceof ApiProblem && error.isConnection)) return;
    wasLost.current = true;
    setLost(true);
  }, []);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const pause = lost ? RETRY_MILLISECONDS : WATCH_MILLISECONDS;
    const look = async (): Promise<void> => {
      clearTimeout(timer);
      try {
        if (document.visibilityState === "visible" || wasLost.current) setSystem(await readSystemState());
        if (stopped) return;
        if (wasLost.current) setEpoch((before) => before + 1);
        wasLost.current = false;
        setLost(false);
        setRefusal(undefined);
      } catch (error) {
        report(error);
        if (!(error instanceof ApiProblem && error.isConnection)) setRefusal(sentenceOf(error));
      }
      clearTimeout(timer);
      if (!stopped) timer = setTimeout(look, pause);
    };
    const lookNow = (): void => void look();
    lookNow();
    current.current = lookNow;
    addEventListener("online", lookNow);
    return () => {
      stopped = true;
      clearTimeout(timer);
      removeEventListener("online", lookNow);
    };
  }, [lost, report]);

  const look = useCallback(() => current.current?.(), []);
  return { lost, epoch, system, refusal, report, look };
}
