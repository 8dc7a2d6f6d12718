import { describe, expect, it } from "vitest";
import { readJob, readProgress } from "../../api/readers.ts";
import { progressWords, spokenProgress } from "./progress-words.ts";

const running = readJob({ id: "a", status: "running" });
const at = (step: number, eta?: number) =>
  readProgress({ step, total_steps: 20, percent: step * 5, eta_seconds: eta, phase: "denoising" });

describe("progressWords", () => {
  it("says the place in the queue, the phase, the step and the time left", () => {
    expect(progressWords(readJob({ status: "queued", position: 1 }), undefined)).toBe("Next in the queue");
    expect(progressWords(readJob({ status: "queued", position: 3 }), undefined)).toBe("Place 3 in the queue");
    expect(progressWords(running, readProgress({ phase: "loading" }))).toBe("Loading the model");
    expect(progressWords(running, at(7))).toBe("Step 7 of 20");
    expect(progressWords(running, at(7, 2.2))).toBe("Step 7 of 20, about 3 s left");
    expect(progressWords(running, at(7, 200))).toBe("Step 7 of 20, about 4 min left");
  });
});

describe("spokenProgress", () => {
  it("changes at quarters only", () => {
    const heard = Array.from({ length: 20 }, (_, step) => spokenProgress(running, at(step + 1)));
    expect([...new Set(heard)]).toEqual(["Drawing.", "25 percent.", "50 percent.", "75 percent."]);
  });

  it("says how it ended", () => {
    expect(spokenProgress(readJob({ status: "failed", error: { message: "Too large." } }), undefined)).toBe(
      "The picture failed. Too large.",
    );
    expect(spokenProgress(readJob({ status: "completed", images: [{}, {}], timings: { total_seconds: 2.14 } }), undefined)).toBe(
      "2 pictures are finished, after 2.1 s.",
    );
  });
});
