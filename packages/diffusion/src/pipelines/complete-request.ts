import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { CheckpointDefaults } from "../checkpoint/defaults.ts";
import type { Distilled } from "../checkpoint/distilled.ts";
import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { checkPromptLength } from "../text/clip-tokenizer.ts";
import { a1111Choice } from "./a1111-choice.ts";
import { hiresSize } from "./hires-size.ts";
import { type PictureSeed, pictureSeeds } from "./picture-seeds.ts";
import { type Recipe, recipeFor } from "./recipes.ts";
import type { GenerateRequest, LoraRequest } from "./request.ts";

/** A request of which nothing is left out that a step needs. */
export interface CompleteRequest extends GenerateRequest {
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly guidanceRescale: number;
  readonly strength: number;
  /** Of each picture. */
  readonly seeds: readonly PictureSeed[];
  /** The recipe's scheduler where the request names none; undefined: the checkpoint's own. */
  readonly scheduler: NonNullable<GenerateRequest["scheduler"]> | undefined;
}

const PROMPTS = ["prompt", "prompt2", "negativePrompt", "negativePrompt2"] as const;

/** 4 latents a side: below, the deepest level of SDXL has nothing left to attend to. */
const MIN_SIDE = 32;
/** Sixteen times SDXL's own area: memory grows with it, and checks of what fits come after this one. */
const MAX_SIDE = 4096;
/** The network was trained with this many timesteps; more steps than that do not exist. */
const MAX_STEPS = 1000;
/** Beyond, every checkpoint gives burnt colours. */
const MAX_GUIDANCE = 100;
const MAX_COUNT = 64;
/** A mask's edge that is softer than this is none; the work grows with it. */
const MAX_BLUR = 256;
const MAX_CONTROLS = 8;
const MAX_LORAS = 32;
/** An adapter's weight beyond is a slip of the keyboard. */
const MAX_ADAPTER_WEIGHT = 100;
const DEFAULT_STRENGTH = 0.75;
/** AUTOMATIC1111's own random seeds end here, and so does what there is to tell them apart. */
const MAX_SEED_DELTA = 2 ** 32;

/**
 * Checks a request, and fills in what it leaves out from the checkpoint's recipe.
 * @param imageSize the given picture's size, where there is one: the default size, cut down to multiples of 8.
 * @throws KilnError invalid_request naming the first field that is wrong and its limits.
 */
export function completeRequest(
  request: GenerateRequest,
  { checkpoint, defaults, loras }: { checkpoint: Checkpoint; defaults: CheckpointDefaults; loras?: readonly Distilled[] },
  imageSize?: { width: number; height: number },
): CompleteRequest {
  const recipe = recipeFor(checkpoint, defaults, loras);
  // Only a part of the picture is drawn there.
  const ofPicture = request.inpaint?.region === "masked" ? undefined : imageSize;
  const own = ofPicture ? { width: cutDown(ofPicture.width), height: cutDown(ofPicture.height) } : recipe.size;
  const complete: CompleteRequest = {
    ...request,
    width: side("width", request.width ?? own.width),
    height: side("height", request.height ?? own.height),
    steps: stepsOf(request, recipe),
    guidanceScale: within("guidanceScale", request.guidanceScale ?? recipe.guidanceScale, 0, MAX_GUIDANCE),
    guidanceRescale: within("guidanceRescale", request.guidanceRescale ?? 0, 0, 1),
    strength: within("strength", request.strength ?? (request.mask === undefined ? DEFAULT_STRENGTH : 1), 0, 1),
    seeds: pictureSeeds(request, whole("count", request.count ?? 1, 1, MAX_COUNT)),
    scheduler: request.scheduler ?? recipe.scheduler,
    ...(request.scheduler === undefined && request.steps === undefined && request.timesteps === undefined && recipe.timesteps
      ? { timesteps: recipe.timesteps }
      : {}),
    ...(request.eta === undefined && recipe.eta !== undefined ? { eta: recipe.eta } : {}),
  };
  checkRest(complete);
  return complete;
}

function stepsOf({ steps, timesteps, sigmas }: GenerateRequest, recipe: Recipe): number {
  const given = timesteps?.length ?? (sigmas ? sigmas.length - 1 : undefined);
  return whole("steps", given ?? steps ?? recipe.steps, 1, MAX_STEPS);
}

function checkRest(request: CompleteRequest): void {
  const { prompt, image, mask, strength, controls = [], loras = [], denoisingStart, denoisingEnd, clipSkip, eta } = request;
  if (typeof prompt !== "string") throw invalid("prompt", "prompt must be a text.");
  for (const field of PROMPTS) checkPromptLength(request[field] ?? "", field);
  checkHires(request);
  if (mask !== undefined && image === undefined)
    throw invalid("mask", "mask needs image: the picture that is to be painted over.");
  checkInpaint(request);
  // AUTOMATIC1111 always makes one step.
  if (image !== undefined && denoisingStart === undefined && !a1111Choice(request) && Math.floor(request.steps * strength) < 1) {
    throw invalid("strength", `strength ${strength} of ${request.steps} steps leaves nothing to draw: raise one of them.`);
  }
  if (denoisingStart !== undefined) within("denoisingStart", denoisingStart, 0, 1);
  if (denoisingEnd !== undefined) within("denoisingEnd", denoisingEnd, 0, 1);
  if (denoisingStart !== undefined && denoisingEnd !== undefined && denoisingStart >= denoisingEnd) {
    throw invalid("denoisingStart", "denoisingStart must be less than denoisingEnd.");
  }
  if (denoisingStart !== undefined && image === undefined)
    throw invalid("denoisingStart", "denoisingStart needs image: the latents to go on from.");
  if (request.hires?.by === "refiner" && request.refiner === undefined)
    throw invalid("hires.by", 'hires.by "refiner" needs refiner: the checkpoint that draws the second time.');
  if (request.variation) within("variation.strength", request.variation.strength, 0, 1);
  if (request.seedResizeFrom) {
    side("seedResizeFrom.width", request.seedResizeFrom.width);
    side("seedResizeFrom.height", request.seedResizeFrom.height);
  }
  if (request.noiseSeedDelta !== undefined) whole("noiseSeedDelta", request.noiseSeedDelta, -MAX_SEED_DELTA, MAX_SEED_DELTA);
  if (clipSkip !== undefined) whole("clipSkip", clipSkip, 0, 32);
  if (eta !== undefined) within("eta", eta, 0, 1);
  if (controls.length > MAX_CONTROLS) throw invalid("controls", `controls may be ${MAX_CONTROLS} at most.`);
  for (const { scale = 1, start = 0, end = 1 } of controls) {
    within("controls.scale", scale, 0, 10);
    within("controls.start", start, 0, 1);
    within("controls.end", end, 0, 1);
    if (start > end) throw invalid("controls.start", "controls.start must not be greater than controls.end.");
  }
  checkLoras("loras", loras);
}

function checkInpaint({ inpaint, mask }: CompleteRequest): void {
  if (!inpaint) return;
  if (mask === undefined) throw invalid("inpaint", "inpaint needs mask: it says how the mask is painted over.");
  const { padding = 0, blur = 0, blurY = 0 } = inpaint;
  whole("inpaint.padding", padding, 0, MAX_SIDE);
  within("inpaint.blur", blur, 0, MAX_BLUR);
  within("inpaint.blurY", blurY, 0, MAX_BLUR);
}

function checkHires({ width, height, hires = {} }: CompleteRequest): void {
  const { prompt = "", negativePrompt = "", guidanceScale = 1, loras = [], size } = hires;
  checkPromptLength(prompt, "hires.prompt");
  checkPromptLength(negativePrompt, "hires.negativePrompt");
  within("hires.guidanceScale", guidanceScale, 0, MAX_GUIDANCE);
  checkLoras("hires.loras", loras);
  if (!size) return;
  side("hires.size.width", size.width);
  side("hires.size.height", size.height);
  const { enlarged } = hiresSize({ width, height }, hires);
  if (Math.max(enlarged.width, enlarged.height) <= MAX_SIDE) return;
  const message = `hires.size: to fill it, a picture of ${width}x${height} would be enlarged to ${enlarged.width}x${enlarged.height}; ${MAX_SIDE} a side are the most. Choose shapes that are closer.`;
  throw invalid("hires.size", message);
}

function checkLoras(name: string, loras: readonly LoraRequest[]): void {
  if (loras.length > MAX_LORAS) throw invalid(name, `${name} may be ${MAX_LORAS} at most.`);
  for (const { weight = 1, textEncoderWeight = weight } of loras) {
    within(`${name}.weight`, weight, -MAX_ADAPTER_WEIGHT, MAX_ADAPTER_WEIGHT);
    within(`${name}.textEncoderWeight`, textEncoderWeight, -MAX_ADAPTER_WEIGHT, MAX_ADAPTER_WEIGHT);
  }
}

function side(name: string, value: number): number {
  whole(name, value, MIN_SIDE, MAX_SIDE);
  if (value % PIXELS_PER_LATENT !== 0) {
    const near = [Math.floor(value / PIXELS_PER_LATENT), Math.ceil(value / PIXELS_PER_LATENT)].map((n) => n * PIXELS_PER_LATENT);
    throw invalid(name, `${name} must be a multiple of ${PIXELS_PER_LATENT}: ${value} is not, ${near.join(" and ")} are.`);
  }
  return value;
}

function cutDown(length: number): number {
  return Math.floor(length / PIXELS_PER_LATENT) * PIXELS_PER_LATENT;
}

function whole(name: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value)) throw invalid(name, `${name} must be a whole number from ${low} to ${high}, not ${value}.`);
  return within(name, value, low, high);
}

function within(name: string, value: number, low: number, high: number): number {
  if (typeof value !== "number" || !(value >= low && value <= high))
    throw invalid(name, `${name} must be from ${low} to ${high}, not ${value}.`);
  return value;
}

function invalid(field: string, message: string): KilnError {
  return new KilnError("invalid_request", message, { subject: field });
}
