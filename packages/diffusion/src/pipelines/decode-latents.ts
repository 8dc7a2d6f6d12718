import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { DEFAULT_TILING } from "../networks/tiling.ts";
import type { Picture } from "../pictures/picture.ts";
import { tensorToPictures } from "../pictures/picture-tensor.ts";
import { decodeTiling } from "./memory-estimate.ts";
import type { PlannedPass } from "./passes.ts";
import type { LatentSource } from "./request.ts";

/**
 * Decodes a pass's latents: whole where memory allows it, else in tiles; those too where a device whose memory nobody can ask has
 * refused the whole.
 * @returns [3, 8 height, 8 width], about -1..1, not clamped.
 * @throws KilnError out_of_memory where tiles do not fit either
 */
export async function decodeLatents(
  { model, autoencoder }: Pick<PlannedPass, "model" | "autoencoder">,
  { latents, height, width }: LatentSource,
): Promise<Float32Array> {
  const size = { width: width * PIXELS_PER_LATENT, height: height * PIXELS_PER_LATENT };
  const tiling = decodeTiling(model, size, model.memoryLimit);
  try {
    return await autoencoder.decode(latents, height, width, tiling);
  } catch (error) {
    const smallerHelps = tiling === undefined && Math.max(height, width) > DEFAULT_TILING.tile;
    if (!(error instanceof KilnError) || error.code !== "out_of_memory" || !smallerHelps) throw error;
    return await autoencoder.decode(latents, height, width, DEFAULT_TILING);
  }
}

/**
 * What an autoencoder gave, as bytes.
 * @param size of the latents that it was given
 * @throws KilnError numeric where a number is NaN
 */
export function decodedPicture(pixels: Float32Array, size: Pick<LatentSource, "height" | "width">): Picture {
  const shape = [1, 3, size.height * PIXELS_PER_LATENT, size.width * PIXELS_PER_LATENT];
  const [picture] = tensorToPictures({ type: "float32", shape, data: pixels }, "minus-one-to-one");
  if (!picture) throw new Error("no picture was decoded");
  return picture;
}
