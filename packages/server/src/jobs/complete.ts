import { randomInt } from "node:crypto";
import { mentionsEmbedding, resolveA1111Name } from "@kiln/diffusion";
import { messageOf, ServiceError } from "../errors.ts";
import type { Catalogue } from "../models/catalogue.ts";
import type { ModelDefaults, ModelInfo } from "../models/model.ts";
import { findScheduler } from "../models/schedulers.ts";
import { MAX_EMBEDDINGS, MAX_HIRES_SIDE, MAX_STEPS } from "./limits.ts";
import type { CompleteRequest, GenerationRequest } from "./request.ts";

/** What the operator's settings add to requests that say nothing. */
export interface OperatorDefaults {
  /** LoRAs for requests that name none. */
  loras: { name: string; weight: number }[];
  metadata: boolean;
}

type Hires = NonNullable<GenerationRequest["hires"]>;
type Lora = CompleteRequest["loras"][number];

/** How much of a given picture is made anew when nobody says. */
const DEFAULT_STRENGTH = 0.75;
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
  const loras = lorasOf(request.loras ?? operator.loras, model, catalogue, "loras");
  for (const [index, control] of request.controls.entries()) {
    requireFamily(catalogue.require(control.model, "controlnet", `controls.${index}.model`), model, `controls.${index}.model`);
  }
  const vae = request.vae === undefined ? undefined : catalogue.require(request.vae, "vae", "vae");
  const embeddings = embeddingsOf(request, model, catalogue);
  const { defaults } = model;
  requireHiresSize(request, defaults);
  // A few-step LoRA changes what the checkpoint can do: its recipe stands before the checkpoint's.
  const source = loras.find(({ weight, file }) => weight !== 0 && file.variant !== "base")?.file ?? model;
  const negative = request.negative_prompt ?? defaults.negative_prompt;
  const steps = request.steps ?? stepsOf(request, source.defaults);
  const { embeddings: _, variation, ...rest } = request;
  return {
    ...rest,
    ...(vae === undefined ? {} : { vae: vae.id }),
    ...(embeddings.length > 0 ? { embeddings } : {}),
    ...(negative === undefined ? {} : { negative_prompt: negative }),
    ...(request.hires ? { hires: hiresOf(request, request.hires, { model, steps, catalogue }) } : {}),
    ...(request.refiner ? { refiner: { ...request.refiner, model: refinerOf(request, catalogue).id } } : {}),
    ...(request.image === undefined ? {} : { strength: request.strength ?? DEFAULT_STRENGTH }),
    output: { ...request.output, metadata: request.output.metadata ?? operator.metadata },
    model: model.id,
    width: request.width ?? defaults.width,
    height: request.height ?? defaults.height,
    steps,
    // A LoRA's "no guidance" would be a scale of 1 to a network that has learnt scales: diffusers hands it on as that.
    guidance_scale: request.guidance_scale ?? (model.embedsGuidance ? model : source).defaults.guidance_scale,
    ...schedulerOf(request, source),
    ...timingOf(request, source.defaults),
    defaults_from: source.id,
    seed: request.seed ?? randomSeed(),
    ...(variation ? { variation: { ...variation, seed: variation.seed ?? randomSeed() } } : {}),
    loras: loras.map(({ file, ...lora }) => ({ ...lora, name: file.id })),
  };
}

/** The second pass with what it names as the catalogue calls it. */
function hiresOf(
  request: GenerationRequest,
  hires: Hires,
  { model, steps, catalogue }: { model: ModelInfo; steps: number; catalogue: Catalogue },
): Hires {
  const { model: named, loras, scheduler, a1111 } = hires;
  const second = named === undefined ? undefined : catalogue.require(named, "checkpoint", "hires.model");
  if (second) requireFamily(second, model, "hires.model");
  if (a1111) a1111Names(a1111, "hires.a1111");
  return {
    ...hires,
    ...secondStepsOf(request, hires, steps),
    ...(second ? { model: second.id } : {}),
    ...(scheduler === undefined ? {} : { scheduler: knownScheduler(scheduler, "hires.scheduler").name }),
    ...(loras
      ? { loras: lorasOf(loras, model, catalogue, "hires.loras").map(({ file, ...lora }) => ({ ...lora, name: file.id })) }
      : {}),
  };
}

function lorasOf(loras: readonly Lora[], model: ModelInfo, catalogue: Catalogue, field: string): (Lora & { file: ModelInfo })[] {
  return loras.map((lora, index) => {
    const file = catalogue.require(lora.name, "lora", `${field}.${index}.name`);
    requireFamily(file, model, `${field}.${index}.name`);
    return { ...lora, file };
  });
}

function randomSeed(): string {
  return String(randomInt(RANDOM_SEED_END));
}

/** The embeddings that a request names, or that its prompts name in the syntax where that is enough. */
function embeddingsOf(
  request: GenerationRequest,
  model: ModelInfo,
  catalogue: Catalogue,
): NonNullable<CompleteRequest["embeddings"]> {
  if (request.embeddings) {
    return request.embeddings.map(({ name, token }, index) => {
      const field = `embeddings.${index}.name`;
      const file = catalogue.require(name, "embedding", field);
      requireFamily(file, model, field);
      return { name: file.id, ...(token === undefined ? {} : { token }) };
    });
  }
  if (request.prompt_syntax !== "a1111") return [];
  const text = [
    request.prompt,
    request.prompt_2,
    request.negative_prompt ?? model.defaults.negative_prompt,
    request.negative_prompt_2,
    request.hires?.prompt,
    request.hires?.negative_prompt,
  ]
    .filter((each) => each !== undefined)
    .join("\n");
  return catalogue
    .list("embedding")
    .filter(({ id, family, embedding }) => family === model.family && mentionsEmbedding(text, [id, ...(embedding?.tokens ?? [])]))
    .slice(0, MAX_EMBEDDINGS)
    .map(({ id }) => ({ name: id, token: id }));
}

/** The second pass makes only `strength` of its steps too, but for A1111's samplers, which make all of them. */
function secondStepsOf({ a1111 }: GenerationRequest, hires: Hires, steps: number): Pick<Hires, "steps"> {
  const exact = hires.a1111 !== undefined || (a1111 !== undefined && hires.scheduler === undefined);
  if (hires.steps !== undefined || exact || steps * hires.strength >= 1 || hires.strength === 0) return {};
  return { steps: Math.min(MAX_STEPS, Math.ceil(1 / hires.strength)) };
}

/** With a picture, only `strength` of the steps are run: a recipe of one step is lengthened until one is left. */
function stepsOf({ image, strength = DEFAULT_STRENGTH }: GenerationRequest, { steps }: ModelDefaults): number {
  if (image === undefined || strength === 0) return steps;
  return Math.min(MAX_STEPS, Math.max(steps, Math.ceil(1 / strength)));
}

/** The rest of a few-step recipe, which goes with its scheduler and its number of steps. */
function timingOf(
  { steps, scheduler, scheduler_config, a1111, eta, image }: GenerationRequest,
  defaults: ModelDefaults,
): Pick<CompleteRequest, "timesteps" | "eta"> {
  if (scheduler !== undefined || a1111) return {};
  const whole = steps === undefined && scheduler_config === undefined && image === undefined;
  return {
    ...(whole && defaults.timesteps ? { timesteps: defaults.timesteps } : {}),
    ...(eta === undefined && defaults.eta !== undefined ? { eta: defaults.eta } : {}),
  };
}

type Scheduler = Pick<CompleteRequest, "scheduler" | "scheduler_label" | "scheduler_from_model" | "scheduler_config">;

function schedulerOf(request: GenerationRequest, source: ModelInfo): Scheduler {
  const { scheduler, scheduler_config, a1111 } = request;
  if (a1111) {
    const names = a1111Names(a1111);
    const label = names.schedule === "automatic" ? names.sampler : `${names.sampler} ${names.schedule}`;
    return { scheduler: label, scheduler_label: label, scheduler_from_model: false };
  }
  const named = scheduler ?? source.defaults.scheduler;
  const found = knownScheduler(named, "scheduler");
  // A checkpoint's own scheduler may be more than a name, and the engine knows it; a LoRA's recipe is spelt out here.
  const fromModel =
    scheduler === undefined &&
    scheduler_config === undefined &&
    source.kind === "checkpoint" &&
    source.operator?.scheduler === undefined;
  const recipe = scheduler === undefined ? source.defaults.scheduler_config : undefined;
  return {
    scheduler: found.name,
    scheduler_label: found.label,
    scheduler_from_model: fromModel,
    ...(recipe ? { scheduler_config: { ...recipe, ...scheduler_config } } : {}),
  };
}

function knownScheduler(name: string, field: string): NonNullable<ReturnType<typeof findScheduler>> {
  const found = findScheduler(name);
  if (found) return found;
  throw new ServiceError("invalid_request", `${field}: there is no "${name}"; GET /v1/schedulers lists them.`, { field });
}

function a1111Names(
  { sampler, schedule }: { sampler: string; schedule?: string | undefined },
  field = "a1111",
): {
  sampler: string;
  schedule: string;
} {
  try {
    return resolveA1111Name(sampler, schedule);
  } catch (error) {
    throw new ServiceError("invalid_request", `${field}: ${messageOf(error)}`, { field, cause: error });
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

function requireHiresSize({ width, height, hires }: GenerationRequest, defaults: ModelInfo["defaults"]): void {
  const [across, down] = [width ?? defaults.width, height ?? defaults.height];
  const { size, scale = 1 } = hires ?? {};
  // The picture covers a size of another shape before it is cut.
  const longest = Math.max(across, down) * (size ? Math.max(size.width / across, size.height / down) : scale);
  if (longest <= MAX_HIRES_SIDE) return;
  throw new ServiceError(
    "invalid_request",
    `hires.${size ? "size" : "scale"}: would make a side of ${Math.round(longest)} pixels; ${MAX_HIRES_SIDE} are the most.`,
    {
      field: `hires.${size ? "size" : "scale"}`,
    },
  );
}

function requireFamily(part: ModelInfo, checkpoint: ModelInfo, field: string): void {
  if (part.family === null || part.family === checkpoint.family) return;
  throw new ServiceError(
    "model_incompatible",
    `"${part.id}" is for ${part.family} and "${checkpoint.id}" is ${checkpoint.family}.`,
    { field },
  );
}
