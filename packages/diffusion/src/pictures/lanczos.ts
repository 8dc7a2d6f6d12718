import { channelsOf, checkPictureSize, type MaskPicture, type Picture } from "./picture.ts";

/** Lanczos with three lobes on each side. */
const LOBES = 3;
/** Bits behind the point of a weight: 32, less 8 for a byte and 2 for weights beyond 1, as in Pillow. */
const PRECISION_BITS = 22;
const ONE = 2 ** PRECISION_BITS;

/** For each output position: where it begins to read, and its weights. */
interface Filter {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** `taps` weights for each output position, in fixed point. */
  readonly weights: Int32Array;
  readonly taps: number;
}

/**
 * Resizes with the same bytes as Pillow's `Image.resize(..., LANCZOS)`: two passes, horizontal then vertical, each
 * rounded to bytes, weights in fixed point (Pillow's `libImaging/Resample.c`). When it shrinks, the filter grows with
 * the ratio, so that nothing aliases.
 *
 * @throws KilnError `picture_invalid` where the new size is no picture's.
 */
export function resizeLanczos<T extends Picture | MaskPicture>(
  picture: T,
  width: number,
  height: number,
): { width: number; height: number; data: Uint8Array } {
  checkPictureSize(width, height, "The new size");
  const channels = channelsOf(picture);
  let data = picture.data;
  if (width !== picture.width) {
    data = filterRows(data, { rows: picture.height, width: picture.width, channels }, width, lanczosFilter(picture.width, width));
  }
  if (height !== picture.height) data = filterColumns(data, width * channels, height, lanczosFilter(picture.height, height));
  return { width, height, data: data === picture.data ? data.slice() : data };
}

function lanczosFilter(size: number, newSize: number): Filter {
  const scale = size / newSize;
  const stretch = Math.max(scale, 1);
  const support = LOBES * stretch;
  const taps = Math.ceil(support) * 2 + 1;
  const [starts, counts, weights] = [new Int32Array(newSize), new Int32Array(newSize), new Int32Array(newSize * taps)];
  for (let position = 0; position < newSize; position++) {
    const center = (position + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(size, Math.trunc(center + support + 0.5)) - start;
    const exact = Array.from({ length: count }, (_, tap) => lanczos((tap + start - center + 0.5) * (1 / stretch)));
    const total = exact.reduce((sum, weight) => sum + weight, 0);
    for (const [tap, weight] of exact.entries()) {
      const scaled = (total === 0 ? weight : weight * (1 / total)) * ONE;
      weights[position * taps + tap] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    starts[position] = start;
    counts[position] = count;
  }
  return { starts, counts, weights, taps };
}

function lanczos(x: number): number {
  return x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function filterRows(
  data: Uint8Array,
  { rows, width, channels }: { readonly rows: number; readonly width: number; readonly channels: number },
  newWidth: number,
  { starts, counts, weights, taps }: Filter,
): Uint8Array {
  const out = new Uint8ClampedArray(rows * newWidth * channels);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < newWidth; x++) {
      const first = (row * width + (starts[x] ?? 0)) * channels;
      const count = counts[x] ?? 0;
      for (let channel = 0; channel < channels; channel++) {
        let sum = ONE / 2;
        for (let tap = 0; tap < count; tap++)
          sum += (data[first + tap * channels + channel] ?? 0) * (weights[x * taps + tap] ?? 0);
        out[(row * newWidth + x) * channels + channel] = sum >> PRECISION_BITS;
      }
    }
  }
  return new Uint8Array(out.buffer);
}

function filterColumns(
  data: Uint8Array,
  stride: number,
  newHeight: number,
  { starts, counts, weights, taps }: Filter,
): Uint8Array {
  const out = new Uint8ClampedArray(newHeight * stride);
  // A row of sums at a time, so that memory is read in its order.
  const sums = new Int32Array(stride);
  for (let y = 0; y < newHeight; y++) {
    sums.fill(ONE / 2);
    for (let tap = 0; tap < (counts[y] ?? 0); tap++) {
      const weight = weights[y * taps + tap] ?? 0;
      const first = ((starts[y] ?? 0) + tap) * stride;
      for (let x = 0; x < stride; x++) sums[x] = (sums[x] ?? 0) + (data[first + x] ?? 0) * weight;
    }
    for (let x = 0; x < stride; x++) out[y * stride + x] = (sums[x] ?? 0) >> PRECISION_BITS;
  }
  return new Uint8Array(out.buffer);
}
