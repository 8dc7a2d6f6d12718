import type { CompleteRequest } from "./request.ts";

const EXTENSIONS = { png: "png", jpeg: "jpg", webp: "webp" } as const;

/**
 * Where a job's pictures lie: at the key of the request, in which `{job_id}` stands for the job's id, else under
 * `generated/<subject>/<job>`. Pictures after the first carry their index.
 */
export function pictureKeys(jobId: string, request: CompleteRequest, index: number): { key: string; thumbnailKey: string } {
  const { key, thumbnail_key, format } = request.output;
  const fill = (template: string) => template.replaceAll("{job_id}", jobId);
  const suffix = index === 0 ? "" : `-${index}`;
  const base = fill(key ?? `generated/${request.subject_id ?? "images"}/{job_id}`);
  const thumbnail = thumbnail_key === undefined ? `${base}${suffix}_thumb` : `${fill(thumbnail_key)}${suffix}`;
  return { key: `${base}${suffix}.${EXTENSIONS[format]}`, thumbnailKey: `${thumbnail}.jpg` };
}
