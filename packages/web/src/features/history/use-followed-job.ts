import { type Dispatch, useEffect, useState } from "react";
import { readOneJob } from "../../api/client.ts";
import { followJob } from "../../api/job-events.ts";
import { ApiProblem } from "../../api/problem.ts";
import { isFinished, type Job } from "../../api/types.ts";
import type { Connection } from "../connection/use-connection.ts";
import type { JobsAction } from "./jobs-state.ts";

/** A stream that breaks while the service is well (a proxy's limit, a worker replaced) is opened again after this. */
const REOPEN_MILLISECONDS = 1_000;

/** Streams the job on the stage while it is unfinished, through losses of the connection. */
export function useFollowedJob(shown: Job | undefined, connection: Connection, dispatch: Dispatch<JobsAction>): void {
  const { lost, report } = connection;
  const [opening, setOpening] = useState(0);
  const id = shown !== undefined && !isFinished(shown) ? shown.id : undefined;

  useEffect(() => {
    if (id === undefined || lost) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reopen = async (): Promise<void> => {
      try {
        dispatch({ type: "job", job: await readOneJob(id) });
        timer = setTimeout(() => setOpening(opening + 1), REOPEN_MILLISECONDS);
      } catch (error) {
        if (error instanceof ApiProblem && error.status === 404) dispatch({ type: "gone", id });
        else report(error);
      }
    };
    const stop = followJob(id, {
      onJob: (job) => dispatch({ type: "job", job }),
      onProgress: (progress) => dispatch({ type: "progress", id, progress }),
      onPreview: (preview) => dispatch({ type: "preview", id, preview }),
      onLost: () => void reopen(),
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [id, lost, opening, report, dispatch]);
}
