import type { GenerationRequest } from "../jobs/request.ts";

export interface ContentPolicy {
  /** Raises `content_policy`. */
  check(request: GenerationRequest, callerCeiling: number | undefined): void;
}

export function openContentPolicy(_path: string, _ceiling: number, _required: boolean): ContentPolicy {
  return { check() {} };
}
