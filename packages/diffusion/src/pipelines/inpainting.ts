import { KilnError } from "../errors.ts";
import { fillMasked } from "../pictures/fill-masked.ts";
import { gaussianBlur } from "../pictures/gaussian-blur.ts";
import { resizeLanczos } from "../pictures/lanczos.ts";
import { crop, paste, type Region } from "../pictures/paste.ts";
import type { MaskPicture, Picture } from "../pictures/picture.ts";
import { resizePicture } from "../pictures/resize.ts";
import type { CompleteRequest } from "./complete-request.ts";
import { isLatents, type LoadedPictures } from "./given-pictures.ts";
import { maskedRegion } from "./inpaint-region.ts";

/** The defaults are those of AUTOMATIC1111's page, but for the fill, which there is "original" too. */
const INPAINT = { padding: 32, blur: 4 } as const;

/** The given picture, which comes back outside the mask when the drawn one is there. */
export interface Surroundings {
  readonly original: Picture;
  /** 255 where the drawn picture shows, 0 where the original does. */
  readonly mask: MaskPicture;
  /** Where the drawn picture lies; undefined: it is the whole, at whatever size it was drawn. */
  readonly region: Region | undefined;
}

export interface PreparedInpainting {
  readonly pictures: LoadedPictures;
  readonly surroundings: Surroundings | undefined;
}

/**
 * Brings a request's pictures into what is drawn, as its `inpaint` says (AUTOMATIC1111's img2img): the mask blurred, the region cut
 * out, the masked content filled. Without `inpaint` they stay as they are. A black mask is none where only the masked is
 * drawn, as there.
 * @throws KilnError invalid_request for latents in place of a picture
 */
export async function prepareInpainting(pictures: LoadedPictures, request: CompleteRequest): Promise<PreparedInpainting> {
  const { inpaint } = request;
  const { image, mask } = pictures;
  if (!inpaint || !mask || !image) return { pictures, surroundings: undefined };
  if (isLatents(image))
    throw new KilnError("invalid_request", "inpaint needs image as a picture, not as latents.", { subject: "inpaint" });
  const { region: wanted = "whole", padding = INPAINT.padding, blur = INPAINT.blur, blurY = blur } = inpaint;
  const soft = gaussianBlur(mask, blur, blurY);
  const region = wanted === "masked" ? maskedRegion(soft, padding, request) : undefined;
  if (wanted === "masked" && !region) return { pictures: { ...pictures, mask: undefined }, surroundings: undefined };
  const shown = (picture: Picture) => fitted(picture, region, request);
  const drawnMask = fitted(soft, region, request);
  const drawn = shown(image);
  const controls = region
    ? pictures.controls.map((control) => shown(resizeLanczos(control, image.width, image.height)))
    : pictures.controls;
  return {
    pictures: { image: inpaint.fill === "fill" ? await fillMasked(drawn, drawnMask) : drawn, mask: drawnMask, controls },
    // The whole picture's mask is made harder, so that the original's edge does not shine through.
    surroundings: { original: image, mask: region ? soft : doubled(soft), region },
  };
}

/** Lays the original over the drawn picture outside the mask. */
export function putBack(drawn: Picture, { original, mask, region }: Surroundings): Picture {
  if (!region) {
    const { width, height } = drawn;
    return blend(drawn, resizeLanczos(original, width, height), resizeLanczos(mask, width, height));
  }
  const whole = { ...original, data: original.data.slice() };
  const sized = resizePicture(drawn, region.width, region.height, "cover");
  paste(blend(sized, crop(original, region), crop(mask, region)), whole, region.left, region.top);
  return whole;
}

function fitted<T extends Picture | MaskPicture>(picture: T, region: Region | undefined, { width, height }: CompleteRequest) {
  return region ? resizePicture(crop(picture, region), width, height, "extend") : resizeLanczos(picture, width, height);
}

function doubled({ width, height, data }: MaskPicture): MaskPicture {
  return { width, height, data: data.map((value) => Math.min(255, 2 * value)) };
}

function blend(over: Picture, under: Picture, mask: MaskPicture): Picture {
  const data = over.data.map((value, i) => {
    const weight = mask.data[Math.floor(i / 3)] ?? 255;
    return Math.round((value * weight + (under.data[i] ?? 0) * (255 - weight)) / 255);
  });
  return { width: over.width, height: over.height, data };
}
