import type { Job, Picture } from "../../api/types.ts";
import { seconds } from "./progress-words.ts";

/** What made the picture, as pairs of name and value, the most asked for first. */
export function parametersOf(job: Job, picture: Picture | undefined): [string, string][] {
  const { request } = job;
  const width = picture?.width ?? request.width;
  const height = picture?.height ?? request.height;
  const seed = picture?.seed ?? request.seed;
  const rows: [string, string | undefined][] = [
    ["Seed", seed],
    ["Size", width === undefined || height === undefined ? undefined : `${width} × ${height}`],
    ["Steps", request.steps?.toString()],
    ["Guidance", request.guidance_scale?.toString()],
    ["Scheduler", request.scheduler],
    ["Model", request.model],
    ["Strength", request.image === undefined ? undefined : request.strength?.toString()],
    ["Time", job.status === "completed" && job.totalSeconds !== undefined ? seconds(job.totalSeconds) : undefined],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}

/** A file name that a person recognises: the first words of the prompt and the seed. */
export function downloadName(job: Job, picture: Picture): string {
  const words = job.request.prompt
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60)
    .replace(/-+$/, "");
  return `${words === "" ? "kiln" : words}-${picture.seed ?? picture.id}.${picture.format === "jpeg" ? "jpg" : picture.format}`;
}
