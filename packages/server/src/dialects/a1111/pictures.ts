import type { Caller } from "../../auth/caller.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { decodeBase64, inspectPicture } from "../../jobs/pictures-in.ts";
import { type Fit, fitPicture, opaquePicture } from "../fit-picture.ts";
import type { ImageFields } from "./fields.ts";
import { readMask } from "./mask.ts";

/** A1111's modes: just resize, crop and resize, resize and fill, just resize (latent upscale). */
const FITS: readonly Fit[] = ["fill", "cover", "extend", "fill"];
/** A1111 lays transparent pictures over this. */
const BACKGROUND = "#ffffff";

export interface Size {
  width: number;
  height: number;
}

/** A picture to start from as `upload:ID`, and its mask. */
export interface StartPicture {
  image: string;
  mask: string | undefined;
  /** Of the pictures that belong to it: the drawn one's, or its own where it keeps its size. */
  size: Size;
}

/**
 * Stores the pictures to start from and the mask. They come to the drawn size here, unless the mask is to be blurred at
 * the picture's own size, or only what is masked is drawn: then the engine does it.
 */
export async function storeStart(
  fields: ImageFields,
  drawn: Size,
  caller: Caller,
  context: ServerContext,
): Promise<StartPicture[]> {
  const { init_images, resize_mode, inpaint_full_res } = fields;
  const fit = FITS[resize_mode ?? 0] ?? "fill";
  const mask = await readMask(fields);
  const keepsSize = mask !== undefined && (inpaint_full_res !== false || fit === "fill");
  const store = async (bytes: Uint8Array, field: string) => `upload:${(await context.pictures.store(bytes, caller, field)).id}`;
  const starts: StartPicture[] = [];
  for (const image of init_images) {
    const opaque = await opaquePicture(decodeBase64(image, "init_images"), BACKGROUND, "init_images");
    const size = keepsSize ? await inspectPicture(opaque, "init_images") : drawn;
    const fitted = keepsSize ? opaque : await fitPicture(opaque, size.width, size.height, fit, "init_images");
    // A mask of another size than its picture is stretched to it.
    const fittedMask = mask && (await fitPicture(mask, size.width, size.height, keepsSize ? "fill" : fit, "mask"));
    starts.push({
      image: await store(fitted, "init_images"),
      mask: fittedMask && (await store(fittedMask, "mask")),
      size: { width: size.width, height: size.height },
    });
  }
  return starts;
}
