import { type GeneratedPicture, type GenerateRequest, type LoadOptions, Pipeline } from "../src/index.ts";
import { referencePath } from "../src/testing/reference.ts";

/** The reference's small SDXL, and what goes with it. Undefined where neither the full reference nor the project's own part has it. */
export const TINY_XL = referencePath("checkpoints/tiny-xl");
export const KOHYA = referencePath("checkpoints/loras/kohya.safetensors");
export const LOKR = referencePath("checkpoints/loras/lokr.safetensors");
export const DEPTH = referencePath("checkpoints/tiny-xl-controlnet-depth");
export const TAESD = referencePath("checkpoints/tiny-taesd");
export const SD15 = referencePath("checkpoints/tiny-sd15.safetensors");
export const INPAINT = referencePath("checkpoints/tiny-xl-inpaint");
export const REFINER = referencePath("checkpoints/tiny-xl-refiner");

/** @throws Error where the file is not there: call it in tests that are skipped without it. */
export function there(path: string | undefined): string {
  if (path === undefined) throw new Error("the reference file is not there");
  return path;
}

export function loadTinyXl(options: LoadOptions = {}): Promise<Pipeline> {
  return Pipeline.load(there(TINY_XL), options);
}

/** A small picture that is quick to draw; everything is given, so that no default can change it. */
export const SMALL: GenerateRequest = {
  prompt: "a cat on a red chair",
  negativePrompt: "blurry",
  width: 64,
  height: 64,
  steps: 4,
  guidanceScale: 5,
  scheduler: "Euler",
  seed: 1,
};

export async function drawOne(pipeline: Pipeline, request: GenerateRequest): Promise<GeneratedPicture> {
  const [picture] = await pipeline.generate(request);
  if (!picture) throw new Error("no picture came");
  return picture;
}

export async function drawLatents(pipeline: Pipeline, request: GenerateRequest): Promise<Float32Array> {
  return (await drawOne(pipeline, request)).latents.latents;
}

/** The largest absolute difference; Infinity where there is a NaN or the lengths differ. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs(Number(a[i]) - Number(b[i]));
    if (Number.isNaN(distance)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, distance);
  }
  return largest;
}

/** Smooth colours that depend on where one looks. */
export function gradient(width: number, height: number, phase = 0): { width: number; height: number; data: Uint8Array } {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const [pixel, channel] = [Math.floor(i / 3), i % 3];
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    data[i] = Math.round(127 + 120 * Math.sin((x / width) * (2 + channel) + (y / height) * (3 - channel) + phase));
  }
  return { width, height, data };
}
