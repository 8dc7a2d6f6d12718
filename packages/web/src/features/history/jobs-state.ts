import { isFinished, type Job, type JobPage, type Preview, type Progress } from "../../api/types.ts";

/** What is known of one unfinished job beyond the job itself. */
export interface Live {
  readonly progress: Progress | undefined;
  /** The newest preview of each picture, by its place in the job. */
  readonly previews: ReadonlyMap<number, string>;
}

export interface JobsState {
  /** Newest first. */
  readonly jobs: readonly Job[];
  readonly live: ReadonlyMap<string, Live>;
  /** The cursor of the next, older page. */
  readonly next: string | undefined;
  readonly loaded: boolean;
  /** The job on the stage. */
  readonly shownId: string | undefined;
  /** Taken out of view, with a moment left to change one's mind. */
  readonly removed: Job | undefined;
}

export type JobsAction =
  | { readonly type: "page"; readonly page: JobPage; readonly kind: "first" | "older" }
  | { readonly type: "refresh"; readonly page: JobPage }
  | { readonly type: "job"; readonly job: Job }
  | { readonly type: "gone"; readonly id: string }
  | { readonly type: "progress"; readonly id: string; readonly progress: Progress }
  | { readonly type: "preview"; readonly id: string; readonly preview: Preview }
  | { readonly type: "show"; readonly id: string | undefined }
  | { readonly type: "remove"; readonly id: string }
  | { readonly type: "restore" }
  | { readonly type: "forget" };

export const INITIAL_JOBS: JobsState = {
  jobs: [],
  live: new Map(),
  next: undefined,
  loaded: false,
  shownId: undefined,
  removed: undefined,
};

const NOTHING_LIVE: Live = { progress: undefined, previews: new Map() };

export function jobsReducer(state: JobsState, action: JobsAction): JobsState {
  switch (action.type) {
    case "page":
      return withPage(state, action.page, action.kind);
    case "refresh":
      return action.page.jobs.reduce(withJob, state);
    case "job":
      return withJob(state, action.job);
    case "gone":
      return without(state, action.id);
    case "progress":
      return withLive(state, action.id, { progress: action.progress });
    case "preview": {
      const previews = new Map(state.live.get(action.id)?.previews).set(action.preview.index, action.preview.image);
      return withLive(state, action.id, { previews });
    }
    case "show":
      return { ...state, shownId: action.id };
    case "remove": {
      const removed = state.jobs.find((job) => job.id === action.id);
      return removed === undefined ? state : { ...without(state, action.id), removed };
    }
    case "restore":
      return state.removed === undefined
        ? state
        : { ...state, jobs: inOrder([...state.jobs, state.removed]), shownId: state.removed.id, removed: undefined };
    case "forget":
      return { ...state, removed: undefined };
  }
}

/** The job on the stage, if there is one. */
export function shownJob(state: JobsState): Job | undefined {
  return state.jobs.find((job) => job.id === state.shownId);
}

function withPage(state: JobsState, page: JobPage, kind: "first" | "older"): JobsState {
  // The job on the stage stays known, also when the list now shows favourites only.
  const kept = kind === "older" ? state.jobs : state.jobs.filter((job) => job.id === state.shownId);
  const fresh = page.jobs.filter((job) => job.id !== state.removed?.id);
  const read = new Set(fresh.map((job) => job.id));
  const jobs = inOrder([...kept.filter((job) => !read.has(job.id)), ...fresh]);
  // A visit starts with what is being made now, and else with an empty stage: the newest picture is the first below it.
  const shownId = jobs.some((job) => job.id === state.shownId) ? state.shownId : jobs.find((job) => !isFinished(job))?.id;
  return { ...state, jobs, next: page.next, loaded: true, shownId };
}

function withJob(state: JobsState, job: Job): JobsState {
  if (job.id === state.removed?.id) return state;
  const at = state.jobs.findIndex((known) => known.id === job.id);
  const before = state.jobs[at];
  // A list that was asked for before the job finished may arrive after the news of its end.
  if (before !== undefined && isFinished(before) && !isFinished(job)) return state;
  const jobs =
    before === undefined ? inOrder([...state.jobs, job]) : state.jobs.map((known) => (known.id === job.id ? job : known));
  return { ...state, jobs };
}

function without(state: JobsState, id: string): JobsState {
  const live = new Map(state.live);
  live.delete(id);
  return {
    ...state,
    live,
    jobs: state.jobs.filter((job) => job.id !== id),
    shownId: state.shownId === id ? undefined : state.shownId,
  };
}

function withLive(state: JobsState, id: string, part: Partial<Live>): JobsState {
  const before = state.live.get(id) ?? NOTHING_LIVE;
  return { ...state, live: new Map(state.live).set(id, { ...before, ...part }) };
}

function inOrder(jobs: readonly Job[]): Job[] {
  return [...jobs].sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
}
