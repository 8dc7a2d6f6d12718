import { type Dispatch, useCallback, useEffect, useReducer, useRef, useState } from "react";
import { cancelJob, createJob, deleteJob, deleteJobOnLeave, listJobs, markFavorite } from "../../api/client.ts";
import { type GenerationRequest, isFinished, type Job } from "../../api/types.ts";
import type { Connection } from "../connection/use-connection.ts";
import { INITIAL_JOBS, type JobsAction, type JobsState, jobsReducer, shownJob } from "./jobs-state.ts";
import { useFollowedJob } from "./use-followed-job.ts";

/** Three or four rows of pictures on a desk. */
const PAGE_SIZE = 24;
/** How often unfinished jobs that are not on the stage are looked at. */
const REFRESH_MILLISECONDS = 2_000;
/** Long enough to read the offer to undo and to reach it. */
const UNDO_MILLISECONDS = 7_000;

export interface Jobs {
  readonly state: JobsState;
  readonly shown: Job | undefined;
  readonly favoritesOnly: boolean;
  readonly submit: (request: GenerationRequest) => Promise<Job>;
  readonly cancel: (id: string) => Promise<void>;
  readonly remove: (id: string) => void;
  readonly restore: () => void;
  readonly setFavorite: (job: Job, favorite: boolean) => Promise<void>;
  readonly show: (id: string | undefined) => void;
  readonly showOlder: () => Promise<void>;
  readonly setFavoritesOnly: (only: boolean) => void;
}

/** The person's jobs: the list, the one on the stage, and what can be done with them. Failed requests reject, and `fail` is told of those that nobody waits for. */
export function useJobs(connection: Connection, fail: (error: unknown) => void): Jobs {
  const [state, dispatch] = useReducer(jobsReducer, INITIAL_JOBS);
  const [favoritesOnly, setFavoritesOnly] = useState(false);
  const shown = shownJob(state);
  useList(favoritesOnly, connection, dispatch);
  useFollowedJob(shown, connection, dispatch);
  useOthersRefreshed(state, shown, connection, dispatch);
  useDelayedRemoval(state.removed, fail, dispatch);

  const submit = useCallback(async (request: GenerationRequest) => {
    const job = await createJob(request, crypto.randomUUID());
    dispatch({ type: "job", job });
    dispatch({ type: "show", id: job.id });
    return job;
  }, []);
  const cancel = useCallback(async (id: string) => dispatch({ type: "job", job: await cancelJob(id) }), []);
  const setFavorite = useCallback(async (job: Job, favorite: boolean) => {
    // The heart answers at once; a refusal puts it back.
    dispatch({ type: "job", job: { ...job, favorite } });
    try {
      dispatch({ type: "job", job: await markFavorite(job.id, favorite) });
    } catch (error) {
      dispatch({ type: "job", job });
      throw error;
    }
  }, []);
  const showOlder = useCallback(async () => {
    const page = await listJobs({ limit: PAGE_SIZE, before: state.next, favorite: favoritesOnly });
    dispatch({ type: "page", page, kind: "older" });
  }, [state.next, favoritesOnly]);

  return {
    state,
    shown,
    favoritesOnly,
    submit,
    cancel,
    setFavorite,
    showOlder,
    setFavoritesOnly,
    remove: useCallback((id: string) => dispatch({ type: "remove", id }), []),
    restore: useCallback(() => dispatch({ type: "restore" }), []),
    show: useCallback((id: string | undefined) => dispatch({ type: "show", id }), []),
  };
}

/** Reads the first page, and again after each loss of the connection. */
function useList(favorite: boolean, { epoch, report }: Connection, dispatch: Dispatch<JobsAction>): void {
  const readFor = useRef<string>(undefined);
  useEffect(() => {
    const reason = `${epoch} ${favorite}`;
    readFor.current = reason;
    listJobs({ limit: PAGE_SIZE, favorite }).then((page) => {
      if (readFor.current === reason) dispatch({ type: "page", page, kind: "first" });
    }, report);
  }, [epoch, favorite, report, dispatch]);
}

/**
 * Keeps unfinished jobs that are not on the stage true. They are asked for rather than streamed, because a browser opens
 * six connections to a host over HTTP/1.1 and streams hold them.
 */
function useOthersRefreshed(
  state: JobsState,
  shown: Job | undefined,
  { lost, report }: Connection,
  dispatch: Dispatch<JobsAction>,
): void {
  const waiting = state.jobs.some((job) => !isFinished(job) && job.id !== shown?.id);
  useEffect(() => {
    if (!waiting || lost) return;
    const timer = setInterval(() => {
      listJobs({ limit: PAGE_SIZE }).then((page) => dispatch({ type: "refresh", page }), report);
    }, REFRESH_MILLISECONDS);
    return () => clearInterval(timer);
  }, [waiting, lost, report, dispatch]);
}

/** Deletes a removed job once the time to undo is over, another one is removed, or the page closes. */
function useDelayedRemoval(removed: Job | undefined, fail: (error: unknown) => void, dispatch: Dispatch<JobsAction>): void {
  const pending = useRef<Job>(undefined);
  const removeNow = useCallback(
    (job: Job) => {
      deleteJob(job.id).catch((error: unknown) => {
        dispatch({ type: "job", job });
        fail(error);
      });
    },
    [fail, dispatch],
  );
  useEffect(() => {
    const previous = pending.current;
    pending.current = removed;
    // Undone jobs come back by "restore", which the ref learns here; a replaced one is deleted now.
    if (previous !== undefined && removed !== undefined && previous.id !== removed.id) removeNow(previous);
    if (removed === undefined) return;
    const timer = setTimeout(() => {
      pending.current = undefined;
      dispatch({ type: "forget" });
      removeNow(removed);
    }, UNDO_MILLISECONDS);
    const leave = (): void => {
      if (pending.current !== undefined) deleteJobOnLeave(pending.current.id);
    };
    addEventListener("pagehide", leave);
    return () => {
      clearTimeout(timer);
      removeEventListener("pagehide", leave);
    };
  }, [removed, removeNow, dispatch]);
}
