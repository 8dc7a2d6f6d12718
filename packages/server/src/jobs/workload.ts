import type { Work } from "../records/usage.ts";
import type { CompleteRequest } from "./request.ts";

/** How many of something there are is all that counts. */
interface Several {
  readonly length: number;
}

/**
 * Workload units of a request: 100 for one 1024² picture of 30 steps without guidance, LoRA or ControlNet.
 * Attention makes pixels cost a little more than their number, each guided step runs the UNet twice, a ControlNet is
 * about half a UNet, and LoRAs cost their merge. docs/workload.md repeats the formula.
 */
export function workloadOf(
  request: Pick<CompleteRequest, "width" | "height" | "steps" | "guidance_scale" | "n"> &
    Partial<Omit<CompleteRequest, "loras" | "controls">> & { loras: Several; controls: Several },
): number {
  const pixels = (request.width * request.height) / 1024 ** 2;
  const guidance = request.guidance_scale > 1 ? 2 : 1;
  const networks = 1 + 0.5 * request.controls.length + 0.02 * request.loras.length;
  const baseSteps = request.image === undefined ? request.steps : request.steps * (request.strength ?? 1);
  const refinerSteps = request.refiner
    ? (request.refiner.steps ?? request.steps) * (request.refiner.mode === "pass" ? request.refiner.strength : 0)
    : 0;
  const hiresSteps = request.hires
    ? (request.hires.steps ?? request.steps) * request.hires.strength * enlargement(request, request.hires)
    : 0;
  const steps = baseSteps + refinerSteps + hiresSteps;
  return Math.round(((100 * pixels ** 1.1 * steps * guidance * networks * request.n) / 30) * 100) / 100;
}

/** How many times the first pass's pixels hires fix draws. */
function enlargement(
  { width, height }: Pick<CompleteRequest, "width" | "height">,
  { size, scale }: NonNullable<CompleteRequest["hires"]>,
): number {
  return size ? (size.width * size.height) / (width * height) : scale ** 2;
}

/** What requests count for daily quotas. */
export function workOf(requests: readonly Pick<CompleteRequest, "n" | "steps" | "width" | "height">[]): Work {
  return {
    pictures: requests.reduce((sum, { n }) => sum + n, 0),
    megapixelSteps: requests.reduce((sum, { n, steps, width, height }) => sum + (n * steps * width * height) / 1e6, 0),
  };
}
