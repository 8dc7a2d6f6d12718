import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { decodeMask, decodePicture } from "../pictures/decode.ts";
import { resizeLanczos } from "../pictures/lanczos.ts";
import { type MaskPicture, type Picture, toGrey } from "../pictures/picture.ts";
import { maskToTensor, pictureToTensor, resizeNearest } from "../pictures/picture-tensor.ts";
import type { GenerateRequest, LatentSource, PictureSource } from "./request.ts";
import type { Given } from "./starting-latents.ts";

/** The pictures of a request, decoded and not yet resized. */
export interface LoadedPictures {
  readonly image: Picture | LatentSource | undefined;
  readonly mask: MaskPicture | undefined;
  readonly controls: readonly Picture[];
}

/**
 * Decodes what a request brings.
 * @throws KilnError picture_invalid; invalid_request where the mask has another size than the picture, or latents do not fill their size.
 */
export async function loadPictures({ image, mask, controls = [] }: GenerateRequest): Promise<LoadedPictures> {
  const loaded = {
    image: image === undefined ? undefined : isLatents(image) ? checkLatents(image) : await picture(image, "image"),
    mask:
      mask === undefined
        ? undefined
        : typeof mask === "string" || mask instanceof Uint8Array
          ? await decodeMask(mask, "mask")
          : toGrey(mask),
    controls: await Promise.all(controls.map((control) => picture(control.image, "controls.image"))),
  };
  const size = sizeOf(loaded.image);
  if (loaded.mask && size && (loaded.mask.width !== size.width || loaded.mask.height !== size.height)) {
    const message = `mask is ${loaded.mask.width}x${loaded.mask.height} and image ${size.width}x${size.height}: both must have one size.`;
    throw new KilnError("invalid_request", message, { subject: "mask" });
  }
  return loaded;
}

/** The size in pixels of a picture or of what latents stand for. */
export function sizeOf(image: Picture | LatentSource | undefined): { width: number; height: number } | undefined {
  if (!image) return undefined;
  return isLatents(image)
    ? { width: image.width * PIXELS_PER_LATENT, height: image.height * PIXELS_PER_LATENT }
    : { width: image.width, height: image.height };
}

/**
 * Brings picture and mask to the drawn size (Lanczos, as diffusers does) and into tensors.
 * @param soft the mask has grey edges that count: a latent is painted anew where more than half of it is, as in AUTOMATIC1111.
 *   Otherwise its first pixel says it, as in diffusers.
 */
export function toGiven({ image, mask }: LoadedPictures, width: number, height: number, soft = false): Given {
  if (image && isLatents(image) && (image.width * PIXELS_PER_LATENT !== width || image.height * PIXELS_PER_LATENT !== height)) {
    const message = `The latents stand for ${image.width * PIXELS_PER_LATENT}x${image.height * PIXELS_PER_LATENT} pixels, not ${width}x${height}.`;
    throw new KilnError("invalid_request", message, { subject: "image" });
  }
  return {
    image:
      image && (isLatents(image) ? { latents: image.latents } : { pixels: toPixels(image, width, height, "minus-one-to-one") }),
    mask: mask && toMask(mask, width, height, soft),
  };
}

/** [3, height, width]. */
export function toPixels(image: Picture, width: number, height: number, range: "minus-one-to-one" | "zero-to-one"): Float32Array {
  const sized = image.width === width && image.height === height ? image : resizeLanczos(image, width, height);
  return pictureToTensor(sized, range).data;
}

function toMask(mask: MaskPicture, width: number, height: number, soft: boolean): Given["mask"] {
  const sized = mask.width === width && mask.height === height ? mask : resizeLanczos(mask, width, height);
  const pixels = maskToTensor(sized);
  const [rows, columns] = [height / PIXELS_PER_LATENT, width / PIXELS_PER_LATENT];
  const latents = soft ? maskToTensor(resizeLanczos(sized, columns, rows)) : resizeNearest(pixels, rows, columns);
  return { pixels: pixels.data, latents: latents.data };
}

async function picture(source: PictureSource, subject: string): Promise<Picture> {
  return typeof source === "string" || source instanceof Uint8Array ? decodePicture(source, subject) : source;
}

/** Whether a request's image is latents, and no picture. */
export function isLatents(image: PictureSource | LatentSource): image is LatentSource {
  return typeof image === "object" && "latents" in image;
}

function checkLatents(source: LatentSource): LatentSource {
  const { latents, width, height } = source;
  if (latents.length % (width * height) === 0 && latents.length > 0 && latents.every(Number.isFinite)) return source;
  throw new KilnError("invalid_request", `The latents do not fill ${width}x${height}, or hold numbers that are not finite.`, {
    subject: "image",
  });
}
