import { randomInt } from "node:crypto";
import { resolveA1111Name } from "@kiln/diffusion";
import { messageOf, ServiceError } from "../errors.ts";
import type { Catalogue } from "../models/catalogue.ts";
import type { ModelInfo } from "../models/model.ts";
import { findScheduler } from "../models/schedulers.ts";
import type { CompleteRequest, GenerationRequest } from "./request.ts";

/** What the operator's settings add to requests that say nothing. */
export interface OperatorDefaults {
  /** LoRAs for requests that name none. */
  loras: { name: string; weight: number }[];
  metadata: boolean;
}

/** A 32-bit seed is what other tools write and read. */
const RANDOM_SEED_END = 2 ** 32;

/**
 * Fills in what a request leaves out, from the model's defaults and the operator's. The seed is drawn here, once, so
 * that a second attempt makes the same pictures. Raises `model_not_found` and `model_incompatible`.
 */
export function completeRequest(request: GenerationRequest, catalogue: Catalogue, operator: OperatorDefaults): CompleteRequest {
  const model = request.model === undefined ? catalogue.default() : catalogue.require(request.model, "checkpoint", "model");
  if (model.family === "sdxl-refiner") {
    throw new ServiceError(
      "model_incompatible",
      `"${model.id}" is a refiner; name it as refiner.model beside a base checkpoint.`,
      { field: "model" },
    );
  }
  const loras = request.loras ?? operator.loras;
  for (const [index, lora] of loras.entries())
    requireFamily(catalogue.require(lora.name, "lora", `loras.${index}.name`), model, `loras.${index}.name`);
  for (const [index, control] of request.controls.entries()) {
    requireFamily(catalogue.require(control.model, "controlnet", `controls.${index}.model`), model, `controls.${index}.model`);
  }
  const { defaults } = model;
  const negative = request.negative_prompt ?? defaults.negative_prompt;
  return {
    ...request,
    ...(negative === undefined ? {} : { negative_prompt: negative }),
    ...(request.refiner ? { refiner: { ...request.refiner, model: refinerOf(request, catalogue).id } } : {}),
    ...(request.image === undefined ? {} : { strength: request.strength ?? 0.75 }),
    output: { ...request.output, metadata: request.output.metadata ?? operator.metadata },
    model: model.id,
    width: request.width ?? defaults.width,
    height: request.height ?? defaults.height,
    steps: request.steps ?? defaults.steps,
    guidance_scale: request.guidance_scale ?? defaults.guidance_scale,
    ...schedulerOf(request, defaults.scheduler),
    seed: request.seed ?? String(randomInt(RANDOM_SEED_END)),
    loras: loras.map((lora) => ({ ...lora, name: catalogue.require(lora.name, "lora", "loras").id })),
  };
}

type Scheduler = Pick<CompleteRequest, "scheduler" | "scheduler_label" | "scheduler_from_model">;

function schedulerOf(request: GenerationRequest, fallback: string): Scheduler {
  const { scheduler, scheduler_config, a1111 } = request;
  if (a1111) {
    const names = a1111Names(a1111);
    const label = names.schedule === "automatic" ? names.sampler : `${names.sampler} ${names.schedule}`;
    return { scheduler: label, scheduler_label: label, scheduler_from_model: false };
  }
  const found = findScheduler(scheduler ?? fallback);
  if (!found) {
    throw new ServiceError(
      "invalid_request",
      `scheduler: there is no "${scheduler ?? fallback}"; GET /v1/schedulers lists them.`,
      {
        field: "scheduler",
      },
    );
  }
  const fromModel = scheduler === undefined && scheduler_config === undefined;
  return { scheduler: found.name, scheduler_label: found.label, scheduler_from_model: fromModel };
}

function a1111Names({ sampler, schedule }: { sampler: string; schedule?: string | undefined }): {
  sampler: string;
  schedule: string;
} {
  try {
    return resolveA1111Name(sampler, schedule);
  } catch (error) {
    throw new ServiceError("invalid_request", `a1111: ${messageOf(error)}`, { field: "a1111", cause: error });
  }
}

function refinerOf(request: GenerationRequest, catalogue: Catalogue): ModelInfo {
  const name = request.refiner?.model;
  const found =
    name === undefined
      ? catalogue.list("checkpoint").find(({ family }) => family === "sdxl-refiner")
      : catalogue.require(name, "checkpoint", "refiner.model");
  if (!found) throw new ServiceError("model_not_found", "No refiner is installed.", { field: "refiner" });
  return found;
}

function requireFamily(part: ModelInfo, checkpoint: ModelInfo, field: string): void {
  if (part.family === null || part.family === checkpoint.family) return;
  throw new ServiceError(
    "model_incompatible",
    `"${part.id}" is for ${part.family} and "${checkpoint.id}" is ${checkpoint.family}.`,
    { field },
  );
}
