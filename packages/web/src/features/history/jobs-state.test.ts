import { describe, expect, it } from "vitest";
import { readJob } from "../../api/readers.ts";
import type { Job } from "../../api/types.ts";
import { INITIAL_JOBS, type JobsAction, type JobsState, jobsReducer, shownJob } from "./jobs-state.ts";

function job(id: string, status: string, minute = 0): Job {
  return readJob({ id, status, created_at: `2026-01-01T00:0${minute}:00Z`, request: { prompt: id } });
}

function after(...actions: readonly JobsAction[]): JobsState {
  return actions.reduce(jobsReducer, INITIAL_JOBS);
}

const ids = (state: JobsState): string[] => state.jobs.map(({ id }) => id);

describe("jobsReducer", () => {
  it("shows what is being made when the page opens, newest first in the list", () => {
    const page = { jobs: [job("b", "running", 1), job("c", "completed", 2), job("a", "completed", 0)], next: "a" };
    const state = after({ type: "page", page, kind: "first" });
    expect(ids(state)).toEqual(["c", "b", "a"]);
    expect(shownJob(state)?.id).toBe("b");
  });

  it("appends older pages without repeating a job", () => {
    const first: JobsAction = { type: "page", page: { jobs: [job("b", "completed", 1)], next: "b" }, kind: "first" };
    const older: JobsAction = {
      type: "page",
      page: { jobs: [job("b", "completed", 1), job("a", "completed", 0)], next: undefined },
      kind: "older",
    };
    expect(ids(after(first, older))).toEqual(["b", "a"]);
    expect(after(first, older).next).toBeUndefined();
  });

  it("does not let an old answer undo a job's end", () => {
    const state = after(
      { type: "job", job: job("a", "completed") },
      { type: "refresh", page: { jobs: [job("a", "running")], next: undefined } },
    );
    expect(state.jobs[0]?.status).toBe("completed");
  });

  it("takes a removed job out of view, keeps it out, and brings it back to its place", () => {
    const jobs: JobsAction[] = [job("c", "completed", 2), job("b", "completed", 1), job("a", "completed", 0)].map((each) => ({
      type: "job",
      job: each,
    }));
    const removed = after(
      ...jobs,
      { type: "show", id: "b" },
      { type: "remove", id: "b" },
      { type: "job", job: job("b", "completed", 1) },
    );
    expect(ids(removed)).toEqual(["c", "a"]);
    expect(removed.shownId).toBeUndefined();
    const restored = jobsReducer(removed, { type: "restore" });
    expect(ids(restored)).toEqual(["c", "b", "a"]);
    expect(restored.removed).toBeUndefined();
  });

  it("keeps the newest preview of each picture", () => {
    const preview = (index: number, image: string): JobsAction => ({ type: "preview", id: "a", preview: { index, image } });
    const state = after({ type: "job", job: job("a", "running") }, preview(0, "x"), preview(1, "y"), preview(0, "z"));
    expect([...(state.live.get("a")?.previews ?? [])]).toEqual([
      [0, "z"],
      [1, "y"],
    ]);
  });
});
