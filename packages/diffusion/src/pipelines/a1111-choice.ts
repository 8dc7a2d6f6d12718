import type { GenerateRequest, SchedulerRequest } from "./request.ts";

/** A sampler and a schedule as AUTOMATIC1111 has them. */
export type A1111Choice = Extract<SchedulerRequest, { readonly a1111: unknown }>["a1111"];

/** The request's choice of them; undefined where one of diffusers' schedulers draws. What else AUTOMATIC1111 does otherwise follows from it. */
export function a1111Choice({ scheduler }: Pick<GenerateRequest, "scheduler">): A1111Choice | undefined {
  return typeof scheduler === "object" && "a1111" in scheduler ? scheduler.a1111 : undefined;
}
