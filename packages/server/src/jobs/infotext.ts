import { A1111_SCHEDULES, formatInfotext, resolveA1111Name } from "@kiln/diffusion";
import { seedOfPicture, variationSeedOfPicture } from "./picture-seeds.ts";
import type { CompleteRequest } from "./request.ts";

/** The text that describes a request's picture, in the layout that A1111 writes and its tools read: prompt, negative prompt, settings. */
export function infotextOf(request: CompleteRequest, index = 0): string {
  const variationSeed = variationSeedOfPicture(request, index);
  const settings: [string, string | number | undefined][] = [
    ["Steps", request.steps],
    ...samplerOf(request),
    ["CFG scale", request.guidance_scale],
    ["Seed", seedOfPicture(request, index)],
    ["Size", `${request.width}x${request.height}`],
    ["Model", request.model],
    ["VAE", request.vae],
    ["Variation seed", variationSeed],
    ["Variation seed strength", variationSeed === undefined ? undefined : request.variation?.strength],
    ["ENSD", request.noise_seed_delta || undefined],
    ["Seed resize from", request.seed_resize_from && `${request.seed_resize_from.width}x${request.seed_resize_from.height}`],
    // Where 1 is the whole encoder.
    ["Clip skip", request.clip_skip > 0 ? request.clip_skip + 1 : undefined],
    ["Denoising strength", request.image === undefined ? request.hires?.strength : request.strength],
    ...inpaintOf(request),
    ...hiresOf(request),
    ["Hires upscale", request.hires?.size ? undefined : request.hires?.scale],
    ["Hires resize", request.hires?.size && `${request.hires.size.width}x${request.hires.size.height}`],
    ["Hires steps", request.hires?.steps],
    // A1111 writes names with a capital.
    ["Hires upscaler", request.hires?.upscaler.replace(/^l/, "L")],
    ["Refiner", request.refiner ? (request.refiner.model ?? "default") : undefined],
    ["Refiner switch at", request.refiner?.mode === "ensemble" ? request.refiner.switch_at : undefined],
    ["RNG", request.noise === "philox" ? "NV" : "CPU"],
    [
      "Lora",
      request.loras.length > 0 && request.prompt_syntax === "plain"
        ? request.loras.map(({ name, weight }) => `${name}:${weight}`).join(", ")
        : undefined,
    ],
    ["Version", "Kiln"],
  ];
  return formatInfotext({
    prompt: request.prompt + loraTags(request.loras, request),
    negativePrompt: request.negative_prompt,
    settings,
  });
}

function inpaintOf({ inpaint }: CompleteRequest): [string, string | number | undefined][] {
  if (!inpaint) return [];
  const { region, padding, blur, blur_y: blurY = blur, fill } = inpaint;
  const masked = region === "masked";
  return [
    ["Mask blur", blur === blurY && blur > 0 ? blur : undefined],
    ["Inpaint area", masked ? "Only masked" : undefined],
    ["Masked area padding", masked ? padding : undefined],
    ["Masked content", fill === "original" ? undefined : fill.replace("_", " ")],
  ];
}

/** What the second pass does otherwise than the first. */
function hiresOf(request: CompleteRequest): [string, string | number | undefined][] {
  const { model, prompt, negative_prompt, guidance_scale, scheduler, a1111, loras } = request.hires ?? {};
  const own = a1111 && resolveA1111Name(a1111.sampler, a1111.schedule);
  const first = request.a1111 && resolveA1111Name(request.a1111.sampler, request.a1111.schedule);
  return [
    ["Hires checkpoint", model],
    ["Hires sampler", own ? ifOther(own.sampler, first?.sampler) : scheduler],
    ["Hires schedule type", own && ifOther(labelOf(own.schedule), first && labelOf(first.schedule))],
    ["Hires CFG Scale", guidance_scale],
    ["Hires prompt", prompt === undefined ? undefined : prompt + loraTags(loras ?? request.loras, request)],
    ["Hires negative prompt", negative_prompt],
  ];
}

function ifOther(value: string, first: string | undefined): string | undefined {
  return value === first ? undefined : value;
}

/** Sampler and schedule have a name each where A1111's were asked for. */
function samplerOf({ a1111, scheduler_label }: CompleteRequest): [string, string][] {
  if (!a1111) return [["Sampler", scheduler_label]];
  const { sampler, schedule } = resolveA1111Name(a1111.sampler, a1111.schedule);
  return [
    ["Sampler", sampler],
    ["Schedule type", labelOf(schedule)],
  ];
}

function labelOf(schedule: string): string {
  return A1111_SCHEDULES.find(({ name }) => name === schedule)?.label ?? schedule;
}

/** In A1111's syntax LoRAs are part of the prompt. */
function loraTags(loras: CompleteRequest["loras"], { prompt_syntax }: CompleteRequest): string {
  if (prompt_syntax !== "a1111") return "";
  return loras
    .map(({ name, weight, text_encoder_weight: text }) => ` <lora:${name}:${text === undefined ? weight : `${text}:${weight}`}>`)
    .join("");
}
