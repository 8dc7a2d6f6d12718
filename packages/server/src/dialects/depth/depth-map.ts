import sharp from "sharp";
import { ServiceError } from "../../errors.ts";
import { MAX_INPUT_PIXELS } from "../../jobs/limits.ts";
import { decodeBase64, inspectPicture } from "../../jobs/pictures-in.ts";

const FIELD = "depth_map_b64";

interface Size {
  width: number;
  height: number;
}

/** The map that a request brings, grey and of the picture's size, as PNG. Raises `picture_invalid`. */
export async function readDepthMap(base64: string, { width, height }: Size): Promise<Buffer> {
  const bytes = decodeBase64(base64, FIELD, "base64 or a data URL");
  await inspectPicture(bytes, FIELD);
  try {
    return await sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: "error" })
      .autoOrient()
      .removeAlpha()
      .resize(width, height, { fit: "fill" })
      .toColourspace("b-w")
      .png()
      .toBuffer();
  } catch (cause) {
    throw new ServiceError("picture_invalid", `${FIELD} cannot be decoded.`, { field: FIELD, cause });
  }
}

/** A stand-in for a map: near in the centre, far at the corners. */
export async function mockDepthMap({ width, height }: Size): Promise<Buffer> {
  const pixels = new Uint8Array(width * height);
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  const farthest = Math.hypot(centreX, centreY);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      pixels[y * width + x] = Math.round(255 * (1 - Math.hypot(x - centreX, y - centreY) / farthest));
  }
  return await sharp(pixels, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
}
