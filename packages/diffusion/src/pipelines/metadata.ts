import { basename } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { commonSettings, formatInfotext } from "../pictures/infotext.ts";
import type { PictureMetadata } from "../pictures/picture-metadata.ts";
import { VERSION } from "../version.ts";
import type { CompleteRequest } from "./complete-request.ts";
import type { PictureSeed } from "./picture-seeds.ts";

/** What is written into a picture's file: A1111's infotext, and the whole request as JSON without the pictures that it brought. */
export function pictureMetadata(
  request: CompleteRequest,
  { seed, variation }: PictureSeed,
  size: { width: number; height: number },
  checkpoint: Checkpoint,
): PictureMetadata {
  const {
    prompt,
    negativePrompt,
    steps,
    guidanceScale,
    image,
    strength,
    clipSkip,
    noise = "torch-cpu",
    loras = [],
    hires,
    seedResizeFrom,
  } = request;
  const { sampler, schedule } = schedulerNames(request, checkpoint);
  const model = basename(checkpoint.path, ".safetensors");
  const settings = commonSettings({
    steps,
    sampler,
    scheduleType: schedule,
    cfgScale: guidanceScale,
    seed: seed.toString(),
    ...size,
    model,
    denoisingStrength: image === undefined && hires === undefined ? undefined : strength,
    clipSkip: clipSkip ? clipSkip + 1 : undefined,
    randomSource: noise === "philox" ? "NV" : "CPU",
    extra: [
      ["Variation seed", variation?.seed.toString()],
      ["Variation seed strength", variation?.strength],
      ["Seed resize from", seedResizeFrom && `${seedResizeFrom.width}x${seedResizeFrom.height}`],
      ...loras.map(({ file, weight = 1 }, i): [string, string] => [
        `LoRA ${i + 1}`,
        `${basename(file, ".safetensors")}: ${weight}`,
      ]),
    ],
    version: `Kiln ${VERSION}`,
  });
  const { image: _image, mask: _mask, controls = [], seeds: _seeds, ...rest } = request;
  const kiln = {
    version: VERSION,
    model,
    ...rest,
    seed: seed.toString(),
    ...(variation ? { variation: { seed: variation.seed.toString(), strength: variation.strength } } : {}),
    controls: controls.map(({ image: _picture, ...control }) => control),
  };
  return { parameters: formatInfotext({ prompt, negativePrompt, settings }), kiln: JSON.parse(JSON.stringify(kiln, bigints)) };
}

function schedulerNames(
  { scheduler }: CompleteRequest,
  { configs }: Checkpoint,
): { sampler: string; schedule: string | undefined } {
  if (typeof scheduler === "string") return { sampler: scheduler, schedule: undefined };
  if (scheduler && "a1111" in scheduler) return { sampler: scheduler.a1111.sampler, schedule: scheduler.a1111.schedule };
  const name = scheduler?.name ?? configs.scheduler._class_name;
  return { sampler: typeof name === "string" ? name : "EulerDiscreteScheduler", schedule: undefined };
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
