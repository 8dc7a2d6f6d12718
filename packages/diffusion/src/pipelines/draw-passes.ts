import type { Slot } from "../denoise/slot.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { cropLatents } from "../pictures/crop-latents.ts";
import { resizeLanczos } from "../pictures/lanczos.ts";
import { crop } from "../pictures/paste.ts";
import type { Picture } from "../pictures/picture.ts";
import { resizeBilinear } from "../pictures/resize-latents.ts";
import { decodedPicture, decodeLatents } from "./decode-latents.ts";
import { type DrawOptions, drawPass, type Extras } from "./draw-pass.ts";
import type { LoadedPictures } from "./given-pictures.ts";
import { drawnPart, type HiresSize, hiresSize } from "./hires-size.ts";
import type { PlannedPass } from "./passes.ts";
import type { PictureSeed } from "./picture-seeds.ts";
import type { ProgressReporter } from "./progress.ts";
import type { GenerateOptions, LatentSource } from "./request.ts";

/** A pass whose files have been opened. */
export type ReadyPass = PlannedPass & { readonly extras: Extras };

/** What all passes of a picture share. */
interface Drawing {
  readonly pictures: LoadedPictures;
  readonly progress: ProgressReporter;
  readonly options: GenerateOptions;
  /** Hears that the picture is ready for its first step. */
  readonly onReady: () => void;
}

/** A pass that is done. */
interface Drawn {
  readonly pass: ReadyPass;
  readonly slot: Slot;
  readonly latents: LatentSource;
}

/** Draws one picture through all passes: the latents of each are what the next begins with. */
export async function drawPasses(passes: readonly ReadyPass[], seed: PictureSeed, drawing: Drawing): Promise<Drawn> {
  let drawn: Drawn | undefined;
  for (const pass of passes) drawn = await drawNext(pass, seed, drawing, drawn);
  if (!drawn) throw new Error("there was no pass");
  return drawn;
}

async function drawNext(
  pass: ReadyPass,
  seed: PictureSeed,
  { pictures, progress, options, onReady }: Drawing,
  before: Drawn | undefined,
): Promise<Drawn> {
  const given = before ? await handOver(before, pass, pictures) : pictures;
  progress.begin(pass);
  const { priority = 0, signal } = options;
  const drawOptions: DrawOptions = { priority, signal, onStep: (step) => progress.step(step), onReady };
  const slot = await drawPass({ ...pass, pictures: given }, seed, drawOptions, pass.from === "run" ? before?.slot : undefined);
  const { width, height } = pass.request;
  const latents = { latents: slot.latents, width: width / PIXELS_PER_LATENT, height: height / PIXELS_PER_LATENT };
  return { pass, slot, latents };
}

/** What a pass begins with, from the latents of the one before. */
async function handOver(
  { pass: before, latents }: Drawn,
  { from }: PlannedPass,
  pictures: LoadedPictures,
): Promise<LoadedPictures> {
  const given = { ...pictures, image: latents, mask: undefined };
  if (from !== "enlarged latents" && from !== "enlarged pixels") return given;
  const size = hiresSize(before.request, before.request.hires ?? {});
  const image =
    from === "enlarged latents"
      ? enlargeLatents(latents, size)
      : enlargePicture(decodedPicture(await decodeLatents(before, latents), latents), size);
  return { ...given, image, controls: pictures.controls.map((control) => enlargePicture(control, size)) };
}

function enlargeLatents(latents: LatentSource, size: HiresSize): LatentSource {
  const height = Math.floor(size.enlarged.height / PIXELS_PER_LATENT);
  const width = Math.floor(size.enlarged.width / PIXELS_PER_LATENT);
  const part = drawnPart(size);
  const enlarged = { latents: resizeBilinear(latents, { height, width }), height, width };
  return { latents: cropLatents(enlarged, part), height: part.height, width: part.width };
}

/** The same part of a picture as of latents. AUTOMATIC1111 cuts after the autoencoder, which sees a little beyond the cut then. */
function enlargePicture(picture: Picture, size: HiresSize): Picture {
  const { left, top } = drawnPart(size);
  const enlarged = resizeLanczos(picture, size.enlarged.width, size.enlarged.height);
  return crop(enlarged, { left: left * PIXELS_PER_LATENT, top: top * PIXELS_PER_LATENT, ...size.drawn });
}
