import { KilnError } from "../errors.ts";
import { floatTensor, type Tensor } from "../graph/tensor.ts";
import { roundHalfToEven } from "../round-half-to-even.ts";
import type { MaskPicture, Picture } from "./picture.ts";
import { channelsOf, toGrey } from "./picture.ts";

type FloatTensor = Tensor & { readonly data: Float32Array };

/** The numbers that black and white become: -1 and 1 for a VAE, 0 and 1 for a ControlNet or an upscaler. */
export type PictureRange = "minus-one-to-one" | "zero-to-one";

/** A picture as [1, 3, height, width], computed in float32 in diffusers' order (v / 255, then 2 v - 1). */
export function pictureToTensor(picture: Picture, range: PictureRange): FloatTensor {
  const { width, height, data } = picture;
  if (channelsOf(picture) !== 3) throw new RangeError("a mask is no picture");
  const values = Float32Array.from({ length: 256 }, (_, byte) => {
    const unit = Math.fround(byte / 255);
    return range === "zero-to-one" ? unit : 2 * unit - 1;
  });
  const area = width * height;
  const out = new Float32Array(area * 3);
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < 3; channel++) out[channel * area + pixel] = values[data[pixel * 3 + channel] ?? 0] ?? 0;
  }
  return floatTensor(out, [1, 3, height, width]);
}

/**
 * The pictures of a batch [N, 3, height, width], rounded as diffusers does: clamp to the range, times 255 in float32,
 * halves to even.
 * @throws KilnError `numeric` where a number is NaN; infinities are black and white.
 */
export function tensorToPictures(tensor: Tensor, range: PictureRange): Picture[] {
  const [count, channels, height, width] = tensor.shape;
  if (
    !(tensor.data instanceof Float32Array) ||
    count === undefined ||
    channels !== 3 ||
    height === undefined ||
    width === undefined
  )
    throw new RangeError(`[${tensor.shape.join(", ")}] ${tensor.type} is not a batch of pictures`);
  const { data } = tensor;
  const size = { width, height };
  return Array.from({ length: count }, (_, index) =>
    toPicture(data.subarray(index * 3 * width * height, (index + 1) * 3 * width * height), size, range),
  );
}

function toPicture(
  values: Float32Array,
  size: { readonly width: number; readonly height: number },
  range: PictureRange,
): Picture {
  const area = size.width * size.height;
  const data = new Uint8Array(area * 3);
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0; pixel < area; pixel++) {
      const value = values[channel * area + pixel] ?? 0;
      if (Number.isNaN(value)) {
        throw new KilnError(
          "numeric",
          "The decoded picture holds NaN; a VAE that overflows in half precision does this, so run it in float32.",
        );
      }
      const unit = range === "zero-to-one" ? value : Math.fround(value * 0.5 + 0.5);
      data[pixel * 3 + channel] = roundHalfToEven(Math.fround(Math.min(1, Math.max(0, unit)) * 255));
    }
  }
  return { ...size, data };
}

/**
 * A mask as [1, 1, height, width] of 0 and 1, split at 0.5, as diffusers' VaeImageProcessor does with
 * `do_binarize` and `do_convert_grayscale`: 128 and above are 1. Resize it first; its luma is taken here.
 */
export function maskToTensor(mask: MaskPicture | Picture): FloatTensor {
  const grey = toGrey(mask);
  return floatTensor(
    Float32Array.from(grey.data, (byte) => (byte >= 128 ? 1 : 0)),
    [1, 1, grey.height, grey.width],
  );
}

/**
 * Nearest-neighbour resize of [N, C, height, width], as torch's `interpolate` does by default: output position i reads
 * floor(i × old / new), in float32. Brings a mask to the size of the latents.
 */
export function resizeNearest(tensor: FloatTensor, height: number, width: number): FloatTensor {
  const [count, channels, oldHeight, oldWidth] = tensor.shape;
  if (
    count === undefined ||
    channels === undefined ||
    oldHeight === undefined ||
    oldWidth === undefined ||
    tensor.shape.length !== 4
  )
    throw new RangeError(`[${tensor.shape.join(", ")}] is not [N, C, height, width]`);
  const [rows, columns] = [nearest(oldHeight, height), nearest(oldWidth, width)];
  const out = new Float32Array(count * channels * height * width);
  let position = 0;
  for (let plane = 0; plane < count * channels; plane++) {
    for (const row of rows) {
      const first = (plane * oldHeight + row) * oldWidth;
      for (const column of columns) out[position++] = tensor.data[first + column] ?? 0;
    }
  }
  return floatTensor(out, [count, channels, height, width]);
}

function nearest(size: number, newSize: number): Int32Array {
  const scale = Math.fround(size / newSize);
  return Int32Array.from({ length: newSize }, (_, index) => Math.min(size - 1, Math.floor(Math.fround(index * scale))));
}
