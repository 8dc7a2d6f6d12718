import sharp from "sharp";
import type { Caller } from "../../auth/caller.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { decodeBase64, inspectPicture } from "../../jobs/pictures-in.ts";
import { type Fit, fitPicture } from "../fit-picture.ts";
import type { ImageFields } from "./fields.ts";

/** A1111's modes: just resize, crop and resize, resize and fill, just resize (latent upscale). */
const FITS: readonly Fit[] = ["fill", "cover", "contain", "fill"];

export interface Size {
  width: number;
  height: number;
}

export interface StartPictures {
  /** `upload:ID` of each. */
  images: string[];
  mask: string | undefined;
}

/** Brings the pictures to start from and the mask to the drawn size and stores them. */
export async function storeStart(
  { init_images, mask, resize_mode, inpainting_mask_invert }: ImageFields,
  size: Size,
  caller: Caller,
  context: ServerContext,
): Promise<StartPictures> {
  const fit = FITS[resize_mode ?? 0] ?? "fill";
  const store = async (bytes: Uint8Array, field: string) => {
    const fitted = await fitPicture(bytes, size.width, size.height, fit, field);
    return `upload:${(await context.pictures.store(fitted, caller, field)).id}`;
  };
  const images: string[] = [];
  for (const image of init_images) images.push(await store(decodeBase64(image, "init_images"), "init_images"));
  if (mask === null || mask === undefined || mask === "") return { images, mask: undefined };
  const white = await readMask(decodeBase64(mask, "mask"), inpainting_mask_invert === 1);
  return { images, mask: await store(white, "mask") };
}

/** A1111's mask: its alpha channel where that says anything, else its luma; white is painted anew. */
async function readMask(bytes: Uint8Array, invert: boolean): Promise<Uint8Array> {
  const { width, height } = await inspectPicture(bytes, "mask");
  const png = await fitPicture(bytes, width, height, "fill", "mask");
  const { hasAlpha } = await sharp(png).metadata();
  const alpha = hasAlpha ? await sharp(png).extractChannel(3).png({ compressionLevel: 1 }).toBuffer() : undefined;
  const says = alpha !== undefined && ((await sharp(alpha).stats()).channels[0]?.min ?? 255) < 255;
  const grey = alpha && says ? sharp(alpha) : sharp(png).removeAlpha().greyscale();
  return await (invert ? grey.negate() : grey).png({ compressionLevel: 1 }).toBuffer();
}
