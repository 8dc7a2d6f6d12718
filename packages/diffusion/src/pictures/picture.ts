import { KilnError } from "../errors.ts";

/** A picture in memory: RGB, one byte a channel, row by row from the top left. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** height × width × 3 bytes. */
  readonly data: Uint8Array;
}

/** One channel: a mask, an alpha channel or a grey picture. 255 is white: painted anew, opaque. */
export interface MaskPicture {
  readonly width: number;
  readonly height: number;
  /** height × width bytes. */
  readonly data: Uint8Array;
}

/** 64 million pixels are 8192 × 8192, more than any step of Kiln makes, and 192 MiB in memory. */
export const MAX_PICTURE_PIXELS = 64 * 1024 * 1024;

/**
 * Refuses sizes that are no picture's.
 * @throws KilnError `picture_invalid` that names `subject`.
 */
export function checkPictureSize(width: number, height: number, subject: string): void {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width >= 1 && height >= 1;
  if (whole && width * height <= MAX_PICTURE_PIXELS) return;
  throw new KilnError(
    "picture_invalid",
    `${subject} is ${width}×${height}; a picture has 1 to ${MAX_PICTURE_PIXELS} pixels, so make it smaller.`,
    {
      subject,
    },
  );
}

/** How many bytes a pixel has: 3 for a `Picture`, 1 for a `MaskPicture`. */
export function channelsOf(picture: Picture | MaskPicture): 1 | 3 {
  const channels = picture.data.length / (picture.width * picture.height);
  if (channels === 1 || channels === 3) return channels;
  throw new RangeError(`${picture.data.length} bytes do not fill ${picture.width}×${picture.height} pixels`);
}

/** The luma of a picture (ITU-R BT.601, in Pillow's 16-bit fixed point), as Pillow's `convert("L")` makes it. */
export function toGrey(picture: Picture | MaskPicture): MaskPicture {
  const { width, height, data } = picture;
  if (channelsOf(picture) === 1) return picture;
  const grey = new Uint8Array(width * height);
  for (let pixel = 0; pixel < grey.length; pixel++) {
    const [red, green, blue] = [data[pixel * 3] ?? 0, data[pixel * 3 + 1] ?? 0, data[pixel * 3 + 2] ?? 0];
    grey[pixel] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  }
  return { width, height, data: grey };
}
