import type { Job, Phase, Progress } from "../../api/types.ts";

const PHASES: Readonly<Record<Exclude<Phase, "denoising">, string>> = {
  loading: "Loading the model",
  encoding: "Reading the words",
  decoding: "Bringing out the picture",
};

/** Where an unfinished job stands, in one line. */
export function progressWords(job: Job, progress: Progress | undefined): string {
  if (job.status === "queued") return queueWords(job.position);
  if (progress === undefined || progress.phase === undefined) return "Starting";
  if (progress.phase !== "denoising") return PHASES[progress.phase];
  const step = `Step ${progress.step} of ${progress.totalSteps}`;
  return progress.etaSeconds === undefined ? step : `${step}, ${timeLeft(progress.etaSeconds)}`;
}

/** What a listener hears: the turns of the way, and not each step. */
export function spokenProgress(job: Job, progress: Progress | undefined): string {
  if (job.status === "completed") {
    const count = job.images.length;
    const what = count === 1 ? "The picture is finished" : `${count} pictures are finished`;
    return job.totalSeconds === undefined ? `${what}.` : `${what}, after ${seconds(job.totalSeconds)}.`;
  }
  if (job.status === "failed") return `The picture failed. ${job.error ?? ""}`.trim();
  if (job.status === "cancelled") return "Cancelled.";
  if (job.status === "queued" || progress?.phase !== "denoising") return `${progressWords(job, progress)}.`;
  const quarter = Math.floor(progress.percent / 25) * 25;
  return quarter > 0 && quarter < 100 ? `${quarter} percent.` : "Drawing.";
}

export function seconds(value: number): string {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  return `${Math.round(value / 60)} min`;
}

function queueWords(position: number | undefined): string {
  if (position === undefined) return "In the queue";
  return position <= 1 ? "Next in the queue" : `Place ${position} in the queue`;
}

function timeLeft(value: number): string {
  if (value < 1) return "almost done";
  if (value < 90) return `about ${Math.ceil(value)} s left`;
  return `about ${Math.ceil(value / 60)} min left`;
}
