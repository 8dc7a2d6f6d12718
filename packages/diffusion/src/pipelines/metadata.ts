import { basename } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { nameOf } from "../checkpoint/names.ts";
import { commonSettings, formatInfotext } from "../pictures/infotext.ts";
import type { PictureMetadata } from "../pictures/picture-metadata.ts";
import { VERSION } from "../version.ts";
import { a1111Choice } from "./a1111-choice.ts";
import type { CompleteRequest } from "./complete-request.ts";
import { hiresStrength } from "./passes.ts";
import type { PictureSeed } from "./picture-seeds.ts";
import { ownScheduler } from "./run-plan.ts";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** What is written into a picture's file: A1111's infotext, and the whole request as JSON without the pictures that it brought. */
export function pictureMetadata(
  request: CompleteRequest,
  seed: PictureSeed,
  size: Size,
  checkpoint: Checkpoint,
): PictureMetadata {
  const { prompt, negativePrompt } = request;
  const settings = infotextSettings(request, seed, size, checkpoint);
  return { parameters: formatInfotext({ prompt, negativePrompt, settings }), kiln: requestAsJson(request, seed, checkpoint) };
}

function infotextSettings(
  request: CompleteRequest,
  { seed, variation }: PictureSeed,
  size: Size,
  checkpoint: Checkpoint,
): ReturnType<typeof commonSettings> {
  const { steps, guidanceScale, image, hires, strength, clipSkip, noise, seedResizeFrom, loras = [] } = request;
  const { sampler, schedule } = schedulerNames(request, checkpoint);
  const overAPicture = image === undefined ? undefined : strength;
  return commonSettings({
    steps,
    sampler,
    scheduleType: schedule,
    cfgScale: guidanceScale,
    seed: seed.toString(),
    ...size,
    model: nameOf(checkpoint.path),
    denoisingStrength: hires ? hiresStrength(hires) : overAPicture,
    clipSkip: clipSkip ? clipSkip + 1 : undefined,
    randomSource: noise === "philox" ? "NV" : "CPU",
    extra: [
      ["Variation seed", variation?.seed.toString()],
      ["Variation seed strength", variation?.strength],
      ["ENSD", request.noiseSeedDelta || undefined],
      ["Seed resize from", seedResizeFrom && `${seedResizeFrom.width}x${seedResizeFrom.height}`],
      ...loras.map(({ file, weight = 1 }, i) => [`LoRA ${i + 1}`, `${basename(file, ".safetensors")}: ${weight}`] as const),
    ],
    version: `Kiln ${VERSION}`,
  });
}

function requestAsJson(request: CompleteRequest, { seed, variation }: PictureSeed, checkpoint: Checkpoint): unknown {
  const { image: _image, mask: _mask, controls = [], seeds: _seeds, ...rest } = request;
  const whole = {
    version: VERSION,
    model: nameOf(checkpoint.path),
    ...rest,
    seed,
    ...(variation ? { variation } : {}),
    controls: controls.map(({ image: _picture, ...control }) => control),
  };
  return JSON.parse(JSON.stringify(whole, bigints));
}

function schedulerNames(
  request: CompleteRequest,
  { configs }: Checkpoint,
): { readonly sampler: string; readonly schedule?: string | undefined } {
  const { scheduler } = request;
  const a1111 = a1111Choice(request);
  if (a1111) return a1111;
  if (typeof scheduler === "object" && "name" in scheduler) return { sampler: scheduler.name };
  return { sampler: typeof scheduler === "string" ? scheduler : ownScheduler(configs) };
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
