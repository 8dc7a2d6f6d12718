import { createA1111Sampler, type GenerateRequest, resolveA1111Name } from "../../index.ts";
import { PIXELS_PER_LATENT } from "../../latent-size.ts";
import type { CaseFile } from "../../testing/case-file.ts";
import type { CaseKind } from "../attempt.ts";
import type { ProducedTensors } from "../comparison.ts";
import { Fields } from "../fields.ts";
import { floatTensor, fromEnd, optionalFloatTensor } from "../tensors.ts";
import type { Workbench } from "../workbench.ts";

/** AUTOMATIC1111's own. */
const DEFAULT_CFG_SCALE = 7;

/** A picture as AUTOMATIC1111 draws it. */
export const a1111: CaseKind = (file, workbench) => {
  const meta = new Fields(file.meta);
  return [{ label: "", make: () => draw(file, meta, workbench) }];
};

async function draw(file: CaseFile, meta: Fields, workbench: Workbench): Promise<ProducedTensors> {
  const pipeline = await workbench.pipeline(meta.text("checkpoint"));
  const { prediction, zeroTerminalSnr, family } = pipeline.model.checkpoint;
  const [sampler, schedule, steps] = [meta.text("sampler"), meta.optionalText("schedule"), meta.number("steps")];
  const whole = createA1111Sampler({
    ...resolveA1111Name(sampler, schedule),
    steps,
    predictionType: prediction,
    zeroTerminalSnr,
    family: family === "sd15" ? "sd15" : "sdxl",
  });
  const [picture] = await pipeline.generate(requestOf(file, meta, { sampler, ...(schedule === undefined ? {} : { schedule }) }));
  if (!picture) throw new Error("no picture was drawn");
  const { latents, height, width } = picture.latents;
  return {
    sigmas: { shape: [whole.sigmas.length], data: whole.sigmas },
    "latents.final": { shape: [1, latents.length / (height * width), height, width], data: latents },
  };
}

function requestOf(file: CaseFile, meta: Fields, scheduler: { sampler: string; schedule?: string }): GenerateRequest {
  const final = floatTensor(file, "latents.final");
  const negativePrompt = meta.optionalText("negative_prompt");
  const initial = optionalFloatTensor(file, "init_latent");
  const strength = meta.optionalNumber("strength");
  return {
    prompt: meta.text("prompt"),
    ...(negativePrompt === undefined ? {} : { negativePrompt }),
    steps: meta.number("steps"),
    guidanceScale: meta.optionalNumber("cfg_scale") ?? DEFAULT_CFG_SCALE,
    seed: BigInt(meta.number("seed")),
    noise: "philox",
    scheduler: { a1111: scheduler },
    width: meta.optionalNumber("width") ?? fromEnd(final, 1) * PIXELS_PER_LATENT,
    height: meta.optionalNumber("height") ?? fromEnd(final, 2) * PIXELS_PER_LATENT,
    ...(initial ? { image: { latents: initial.data, height: fromEnd(initial, 2), width: fromEnd(initial, 1) } } : {}),
    ...(strength === undefined ? {} : { strength }),
  };
}
