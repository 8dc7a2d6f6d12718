import type { CompleteRequest } from "./request.ts";

/** The text that describes a picture, in the layout that A1111 writes and its tools read: prompt, negative prompt, settings. */
export function infotextOf(request: CompleteRequest, seed: string = request.seed): string {
  const lines = [request.prompt];
  if (request.negative_prompt) lines.push(`Negative prompt: ${request.negative_prompt}`);
  const settings: [string, string | number | undefined][] = [
    ["Steps", request.steps],
    ["Sampler", request.scheduler_label],
    ["CFG scale", request.guidance_scale],
    ["Seed", seed],
    ["Size", `${request.width}x${request.height}`],
    ["Model", quoted(request.model)],
    ["Clip skip", request.clip_skip > 0 ? request.clip_skip : undefined],
    ["Denoising strength", request.image === undefined ? request.hires?.strength : request.strength],
    ["Hires upscale", request.hires?.scale],
    ["Hires upscaler", request.hires?.upscaler],
    ["Refiner", request.refiner ? quoted(request.refiner.model ?? "default") : undefined],
    ["Refiner switch at", request.refiner?.mode === "ensemble" ? request.refiner.switch_at : undefined],
    ["RNG", request.noise === "philox" ? "NV" : "CPU"],
    [
      "Lora",
      request.loras.length > 0 ? quoted(request.loras.map(({ name, weight }) => `${name}:${weight}`).join(", ")) : undefined,
    ],
    ["Version", "Kiln"],
  ];
  const said = settings.filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`);
  return [...lines, said.join(", ")].join("\n");
}

function quoted(value: string): string {
  return /[,:\n"]/.test(value) ? JSON.stringify(value) : value;
}
