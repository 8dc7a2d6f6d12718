import type { ControlRequest, GenerateRequest, LatentSource, LoraRequest, MaskPicture, Picture } from "../index.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import type { CaseFile } from "../testing/case-file.ts";
import { Fields } from "./fields.ts";
import { type PipelineDefaults, pipelineDefaults } from "./pipeline-defaults.ts";
import { floatTensor, fromEnd, rowsOf } from "./tensors.ts";
import type { Workbench } from "./workbench.ts";

/** Arguments of diffusers' pipelines that change nothing of the picture. */
const WITHOUT_EFFECT = ["output_type", "return_dict"];

/**
 * The pictures of a pipeline case as requests to Kiln, one for each seed, from diffusers' names.
 * @throws Error for an argument that the runner does not know: a case is never run without a part of what it asks for.
 */
export function pipelineRequests(file: CaseFile, workbench: Workbench, sd15: boolean): readonly GenerateRequest[] {
  const meta = new Fields(file.meta);
  const pipeline = meta.text("pipeline");
  const defaults = pipelineDefaults(pipeline, sd15);
  const seeds = meta.numbers("seeds");
  const args = meta.object("args");
  const shared: Shared = {
    ...settingsOf(args, defaults),
    ...filesOf(meta, workbench),
    scheduler: schedulerOf(meta),
    ...(pipeline === "img2img" ? ignoreSize(args) : sizeOf(args, file)),
  };
  const perPrompt = args.optionalNumber("num_images_per_prompt") ?? 1;
  const requests = seeds.map((seed, picture): GenerateRequest => {
    const of = <T>(list: readonly T[]): T | undefined => (list.length === 1 ? list[0] : list[Math.floor(picture / perPrompt)]);
    return {
      ...shared,
      seed: BigInt(seed),
      ...promptsOf(args, of),
      ...picturesOf(file, picture),
      ...controlsOf(file, meta, args, workbench, defaults),
    };
  });
  for (const name of WITHOUT_EFFECT) args.any(name);
  args.refuseOthers("args");
  return requests;
}

type Shared = Omit<GenerateRequest, "prompt">;

/** Numbers that all pictures of a call share. */
function settingsOf(args: Fields, { steps, guidanceScale, strength }: PipelineDefaults): Shared {
  return withoutUndefined({
    steps: args.optionalNumber("num_inference_steps") ?? steps,
    guidanceScale: args.optionalNumber("guidance_scale") ?? guidanceScale,
    guidanceRescale: args.optionalNumber("guidance_rescale"),
    timesteps: args.optionalNumbers("timesteps"),
    sigmas: args.optionalNumbers("sigmas"),
    eta: args.optionalNumber("eta") ?? 0,
    strength: strength === undefined ? undefined : (args.optionalNumber("strength") ?? strength),
    clipSkip: args.optionalNumber("clip_skip"),
    denoisingStart: args.optionalNumber("denoising_start"),
    denoisingEnd: args.optionalNumber("denoising_end"),
    originalSize: args.optionalPair("original_size"),
    cropTopLeft: args.optionalPair("crops_coords_top_left"),
    targetSize: args.optionalPair("target_size"),
    negativeOriginalSize: args.optionalPair("negative_original_size"),
    negativeCropTopLeft: args.optionalPair("negative_crops_coords_top_left"),
    negativeTargetSize: args.optionalPair("negative_target_size"),
    aestheticScore: args.optionalNumber("aesthetic_score"),
    negativeAestheticScore: args.optionalNumber("negative_aesthetic_score"),
  });
}

/** diffusers' own default comes from the UNet's config, and shows in the size of the latents. */
function sizeOf(args: Fields, file: CaseFile): Pick<Shared, "width" | "height"> {
  const final = floatTensor(file, "latents.final");
  return {
    width: args.optionalNumber("width") ?? fromEnd(final, 1) * PIXELS_PER_LATENT,
    height: args.optionalNumber("height") ?? fromEnd(final, 2) * PIXELS_PER_LATENT,
  };
}

/** diffusers' image to image takes its size from the picture; the cases name the size that the picture was made with. */
function ignoreSize(args: Fields): Record<string, never> {
  for (const name of ["width", "height"]) args.any(name);
  return {};
}

function schedulerOf(meta: Fields): NonNullable<GenerateRequest["scheduler"]> {
  const scheduler = meta.object("scheduler");
  return { name: scheduler.text("class"), config: scheduler.object("config").record() };
}

function filesOf(meta: Fields, workbench: Workbench): Pick<Shared, "loras" | "embeddings"> {
  const loras = meta
    .objects("loras")
    .map(
      (lora): LoraRequest => ({ file: workbench.file("loras", lora.text("file")), weight: lora.optionalNumber("weight") ?? 1 }),
    );
  const embeddings = [...meta.objects("embedding"), ...meta.objects("embeddings")].map((embedding) => ({
    file: workbench.file("embeddings", embedding.text("file")),
    ...withoutUndefined({ token: embedding.optionalText("token") }),
  }));
  return { ...(loras.length > 0 ? { loras } : {}), ...(embeddings.length > 0 ? { embeddings } : {}) };
}

type Prompts = Pick<GenerateRequest, "prompt" | "prompt2" | "negativePrompt" | "negativePrompt2">;

function promptsOf(args: Fields, of: (list: readonly string[]) => string | undefined): Prompts {
  const text = (name: string): string | undefined => {
    const value = args.any(name);
    return Array.isArray(value) ? of(args.texts(name)) : args.optionalText(name);
  };
  const prompt = text("prompt");
  if (prompt === undefined) throw new Error("the case has no prompt for one of its seeds");
  return {
    prompt,
    ...withoutUndefined({
      prompt2: text("prompt_2"),
      negativePrompt: text("negative_prompt"),
      negativePrompt2: text("negative_prompt_2"),
    }),
  };
}

/** Picture, mask and latents; fewer of them than seeds serve in turn. */
function picturesOf(file: CaseFile, picture: number): Pick<Shared, "image" | "mask"> {
  const images = picturesIn(file, "image");
  const masks = masksIn(file, "mask_image");
  const latents = latentsIn(file, "latents");
  const image = (latents ?? images)?.[picture % (latents ?? images ?? []).length];
  return withoutUndefined({ image, mask: masks?.[picture % masks.length] });
}

function controlsOf(
  file: CaseFile,
  meta: Fields,
  args: Fields,
  workbench: Workbench,
  defaults: PipelineDefaults,
): Pick<Shared, "controls"> {
  const networks = meta.optionalTexts("controlnets");
  if (!networks) return {};
  const pictures = picturesIn(file, "control_image") ?? [];
  const perNetwork = (name: string, fallback: number, network: number): number => {
    const value = args.any(name);
    return (Array.isArray(value) ? args.numbers(name)[network] : args.optionalNumber(name)) ?? fallback;
  };
  const controls = networks.map((name, n): ControlRequest => {
    const image = pictures[n];
    if (!image) throw new Error(`the case has no control_image for ${name}`);
    return {
      model: workbench.file(name),
      image,
      scale: perNetwork("controlnet_conditioning_scale", defaults.controlScale, n),
      guess: args.flag("guess_mode"),
      start: perNetwork("control_guidance_start", 0, n),
      end: perNetwork("control_guidance_end", 1, n),
    };
  });
  return { controls };
}

/** uint8 [pictures, height, width, 3]. */
function picturesIn(file: CaseFile, name: string): readonly Picture[] | undefined {
  if (!file.tensors.has(name)) return undefined;
  const tensor = floatTensor(file, name);
  const [height, width] = [fromEnd(tensor, 3), fromEnd(tensor, 2)];
  return rowsOf(tensor).map((row) => ({ height, width, data: Uint8Array.from(row) }));
}

/** uint8 [masks, height, width]. */
function masksIn(file: CaseFile, name: string): readonly MaskPicture[] | undefined {
  if (!file.tensors.has(name)) return undefined;
  const tensor = floatTensor(file, name);
  const [height, width] = [fromEnd(tensor, 2), fromEnd(tensor, 1)];
  return rowsOf(tensor).map((row) => ({ height, width, data: Uint8Array.from(row) }));
}

function latentsIn(file: CaseFile, name: string): readonly LatentSource[] | undefined {
  if (!file.tensors.has(name)) return undefined;
  const tensor = floatTensor(file, name);
  const [height, width] = [fromEnd(tensor, 2), fromEnd(tensor, 1)];
  return rowsOf(tensor).map((latents) => ({ height, width, latents }));
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(fields: T): Partial<Defined<T>> {
  const kept: Partial<Defined<T>> = {};
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) Object.assign(kept, { [name]: value });
  return kept;
}
