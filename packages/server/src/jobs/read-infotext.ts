import { parseInfotext, parseSize } from "@kiln/diffusion";
import type { Catalogue } from "../models/catalogue.ts";
import { findScheduler } from "../models/schedulers.ts";
import { type GenerationRequestInput, generationRequestSchema } from "./request.ts";

/**
 * The request that a picture's parameters describe, as far as requests here can say it: words, model, steps, guidance,
 * scheduler, seed and size. What is not installed here, or lies beyond the limits, is left out. Undefined for a text
 * without settings, which is no description of a generation.
 */
export function requestOfInfotext(text: string, catalogue: Catalogue): GenerationRequestInput | undefined {
  const { prompt, negativePrompt, settings } = parseInfotext(text);
  if (settings.size === 0) return undefined;
  const number = (name: string) => (settings.has(name) ? Number(settings.get(name)) : undefined);
  const size = parseSize(settings.get("Size"));
  const sampler = settings.get("Sampler");
  const schedule = settings.get("Schedule type");
  const scheduler =
    sampler === undefined ? undefined : (findScheduler(`${sampler} ${schedule ?? ""}`) ?? findScheduler(sampler))?.name;
  const model = settings.get("Model");
  const found = {
    negative_prompt: negativePrompt === "" ? undefined : negativePrompt,
    model: model === undefined ? undefined : catalogue.find(model, "checkpoint")?.id,
    steps: number("Steps"),
    guidance_scale: number("CFG scale"),
    scheduler,
    seed: settings.get("Seed"),
    variation: variationOf(settings),
    seed_resize_from: parseSize(settings.get("Seed resize from")),
    width: size?.width,
    height: size?.height,
  };
  const { shape } = generationRequestSchema;
  const usable = Object.entries(found).filter(
    ([name, value]) => value !== undefined && shape[name as keyof typeof found].safeParse(value).success,
  );
  const words = shape.prompt.safeParse(prompt);
  return { prompt: words.success ? words.data : "", ...Object.fromEntries(usable) };
}

function variationOf(settings: ReadonlyMap<string, string>): GenerationRequestInput["variation"] {
  const strength = settings.get("Variation seed strength");
  return strength === undefined ? undefined : { strength: Number(strength), seed: settings.get("Variation seed") };
}
