import sharp from "sharp";
import { ServiceError } from "../errors.ts";
import type { Catalogue } from "../models/catalogue.ts";
import type { ModelInfo } from "../models/model.ts";
import { fitPicture } from "./fit-picture.ts";

/** What the contracts' services use; operators may have it under this name, or an alias for it. */
const PUBLISHED = "thibaud/controlnet-openpose-sdxl-1.0";

/** The installed ControlNet that reads poses, for a checkpoint: by its published name or the alias `pose`, else by what its name says. */
export function findPoseControl({ family }: ModelInfo, catalogue: Catalogue): ModelInfo | undefined {
  const fits = (model: ModelInfo | undefined) => model !== undefined && (model.family === null || model.family === family);
  const named = [PUBLISHED, "pose"].map((name) => catalogue.find(name, "controlnet"));
  return [...named, ...catalogue.list("controlnet").filter(({ id, title }) => /pose/i.test(`${id} ${title}`))].find(fits);
}

/** A side of the small copy that is looked at. */
const SAMPLE = 64;
/** Skeletons are thin lines on black; a photo is rarely half black. */
const DARK = 24;
const DARK_SHARE = 0.5;

/** Whether a picture is a drawn skeleton, which a ControlNet reads as it is, and no photo. It must have been decoded before. */
async function isSkeleton(picture: Uint8Array): Promise<boolean> {
  const size = { fit: "fill", kernel: "nearest" } as const;
  const pixels = await sharp(picture)
    .flatten({ background: "#000" })
    .toColourspace("srgb")
    .resize(SAMPLE, SAMPLE, size)
    .raw()
    .toBuffer();
  const channels = pixels.length / SAMPLE ** 2;
  let dark = 0;
  for (let at = 0; at < pixels.length; at += channels) {
    if (pixels.subarray(at, at + channels).every((value) => value <= DARK)) dark++;
  }
  return dark >= DARK_SHARE * SAMPLE ** 2;
}

/**
 * A skeleton at the size that is drawn: whole, centred, on black. Raises `picture_invalid` for `pose` when it cannot be
 * read or is no skeleton.
 */
export async function fitPose(bytes: Uint8Array, width: number, height: number): Promise<Buffer> {
  const fitted = await fitPicture(bytes, width, height, "contain", "pose");
  // Looked at before the black around it counts.
  if (!(await isSkeleton(bytes))) {
    throw new ServiceError(
      "picture_invalid",
      "pose: looks like a photo, and no pose extractor is installed; send a skeleton, drawn on black, or leave the pose out.",
      { field: "pose" },
    );
  }
  return await sharp(fitted).flatten({ background: "#000" }).png({ compressionLevel: 1 }).toBuffer();
}
