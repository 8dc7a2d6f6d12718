import { randomInt } from "node:crypto";
import sharp from "sharp";
import { z } from "zod";
import type { Caller } from "../../auth/caller.ts";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import { DEFAULT_PRESETS, type Presets, presetsSchema } from "../../models/presets.ts";
import { recipeFor } from "../contract-recipe.ts";
import { fitPicture } from "../fit-picture.ts";
import { findPoseControl, fitPose } from "../pose-control.ts";
import type { View } from "./view-job.ts";

/** The contract's recipe. */
const RECIPE = { steps: 30, guidance_scale: 7.5 };
const CONTROL_SCALE = 0.8;
const JPEG_QUALITY = 95;
const VAE = "madebyollin/sdxl-vae-fp16-fix";
const RANDOM_SEED_END = 2 ** 32;

/** What both pictures of a job have in common; kept, so that a second attempt makes the same picture. */
export interface Recipe {
  /** `{view}` stands for the view's phrase. */
  prompt: string;
  /** Fields of the native request. */
  native: Record<string, unknown>;
}

export interface Prepared {
  recipe: Recipe;
  warnings: string[];
  pose_found: boolean;
}

export type ViewTexts = NonNullable<Presets["views"]>;

export function textsOf({ views }: Presets): ViewTexts {
  const texts = views ?? presetsSchema.parse(DEFAULT_PRESETS).views;
  if (!texts) throw new ServiceError("unavailable", "The presets have no texts for views.");
  return texts;
}

/**
 * The photo and the pose at the size that is drawn, and everything that both pictures are told. Raises
 * `picture_invalid` for a photo or a pose that cannot be read.
 */
export async function prepare(
  form: { photo: Buffer; pose: Buffer | undefined; scenario: string; message: string },
  caller: Caller,
  context: ServerContext,
): Promise<Prepared> {
  const { catalogue, pictures, presets } = context;
  const model = catalogue.default();
  const { width, height } = model.defaults;
  const texts = textsOf(presets);
  const scenario = presets.scenarios[form.scenario];
  const photo = await fitPicture(form.photo, width, height, "fill", "original_image");
  // The photo is stored last: where the pose is refused, nothing is kept.
  const { control, ...found } = await controlOf(form.pose, { width, height }, caller, context);
  const image = `upload:${(await pictures.store(photo, caller, "original_image")).id}`;
  const vae = model.family === "sdxl" ? catalogue.find(VAE, "vae") : undefined;
  const native: GenerationRequestInput = {
    prompt: "-",
    negative_prompt: texts.negative,
    model: model.id,
    ...(vae ? { vae: vae.id } : {}),
    width,
    height,
    ...recipeFor(RECIPE, model, context),
    image,
    strength: scenario?.strength ?? 0.5,
    controls: control ? [{ ...control, scale: CONTROL_SCALE }] : [],
    seed: String(randomInt(RANDOM_SEED_END)),
    output: { format: "jpeg", quality: JPEG_QUALITY },
    preview: false,
  };
  const phrases = [texts.quality, scenario?.description ?? "", "{view}", texts.identity, form.message];
  return { recipe: { prompt: phrases.filter((phrase) => phrase !== "").join(", "), native }, ...found };
}

/** The native request of one view. The views differ in their phrase alone. */
export function requestOf({ prompt, native }: Recipe, view: View, texts: ViewTexts): Record<string, unknown> {
  // A function, because a phrase with a dollar sign would be a pattern.
  return { ...native, prompt: prompt.replace("{view}", () => texts[view]) };
}

const picturesSchema = z.object({ image: z.string(), controls: z.array(z.object({ image: z.string() })) });

/** References of the pictures that a recipe draws from: the photo, and the control image where there is one. */
export function picturesOf({ native }: Recipe): { photo: string; control: string | undefined } {
  const { image, controls } = picturesSchema.parse(native);
  return { photo: image, control: controls[0]?.image };
}

async function controlOf(
  pose: Buffer | undefined,
  { width, height }: { width: number; height: number },
  caller: Caller,
  { catalogue, pictures }: ServerContext,
): Promise<{ control: { model: string; image: string } | undefined; warnings: string[]; pose_found: boolean }> {
  const fitted = pose && (await fitPose(pose, width, height));
  const controlNet = findPoseControl(catalogue.default(), catalogue);
  if (!controlNet) {
    const warnings = ["No ControlNet for poses is installed: the pictures are drawn from the photo alone."];
    return { control: undefined, warnings, pose_found: false };
  }
  const white = sharp({ create: { width, height, channels: 3, background: "#fff" } });
  const { id } = await pictures.store(fitted ?? (await white.png().toBuffer()), caller, "pose");
  const warnings = fitted
    ? []
    : ["No pose was found, because no pose extractor is installed: a white control image takes its place."];
  return { control: { model: controlNet.id, image: `upload:${id}` }, warnings, pose_found: fitted !== undefined };
}
