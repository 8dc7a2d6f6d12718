import { useCallback, useEffect, useMemo, useState } from "react";
import { sentenceOf } from "../api/problem.ts";

/** Long enough to read two sentences. */
const SHOWN_MILLISECONDS = 6_000;

export interface Notice {
  readonly text: string | undefined;
  readonly say: (text: string) => void;
  /** Says why something did not work. */
  readonly fail: (error: unknown) => void;
  readonly dismiss: () => void;
}

/** One sentence at the foot of the page, for what has no place of its own. */
export function useNotice(report: (error: unknown) => void): Notice {
  const [notice, setNotice] = useState<{ readonly text: string }>();
  const say = useCallback((text: string) => setNotice({ text }), []);
  const dismiss = useCallback(() => setNotice(undefined), []);
  const fail = useCallback(
    (error: unknown) => {
      report(error);
      setNotice({ text: sentenceOf(error) });
    },
    [report],
  );
  useEffect(() => {
    if (notice === undefined) return;
    const timer = setTimeout(dismiss, SHOWN_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [notice, dismiss]);
  return useMemo(() => ({ text: notice?.text, say, fail, dismiss }), [notice, say, fail, dismiss]);
}
