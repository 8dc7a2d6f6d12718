import sharp, { type Sharp } from "sharp";
import { decodeBase64, inspectPicture } from "../../jobs/pictures-in.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import { fitPicture, isTransparent } from "../fit-picture.ts";
import type { ImageFields } from "./fields.ts";

/** A1111's own, for requests that do not say it. */
const DEFAULT_BLUR = 4;
const FILLS = ["fill", "original", "latent_noise", "latent_nothing"] as const;
/** Of a mask in the alpha channel, what is more opaque than this is painted anew. */
const OPAQUE = 129;

/** The mask as a grey PNG of its own size in which white is painted anew: its alpha channel where that says anything, else its luma. */
export async function readMask({ mask, mask_round, inpainting_mask_invert }: ImageFields): Promise<Uint8Array | undefined> {
  if (mask === null || mask === undefined || mask === "") return undefined;
  const bytes = decodeBase64(mask, "mask");
  const { width, height } = await inspectPicture(bytes, "mask");
  const png = await fitPicture(bytes, width, height, "fill", "mask");
  const { hasAlpha } = await sharp(png).metadata();
  const alpha = hasAlpha ? await sharp(png).extractChannel(3).png({ compressionLevel: 1 }).toBuffer() : undefined;
  const grey =
    alpha && (await isTransparent(alpha)) ? roundedOf(alpha, mask_round !== false) : sharp(png).removeAlpha().greyscale();
  return await (inpainting_mask_invert === 1 ? grey.negate() : grey).png({ compressionLevel: 1 }).toBuffer();
}

function roundedOf(alpha: Uint8Array, round: boolean): Sharp {
  return round ? sharp(alpha).threshold(OPAQUE) : sharp(alpha);
}

/** How the mask is painted over. */
export function inpaintOf(fields: ImageFields): NonNullable<GenerationRequestInput["inpaint"]> {
  const { mask_blur: both, mask_blur_x: x, mask_blur_y: y } = fields;
  return {
    region: fields.inpaint_full_res === false ? "whole" : "masked",
    padding: fields.inpaint_full_res_padding ?? 0,
    blur: both ?? x ?? DEFAULT_BLUR,
    blur_y: both ?? y ?? DEFAULT_BLUR,
    fill: FILLS[fields.inpainting_fill ?? 0] ?? "fill",
  };
}
