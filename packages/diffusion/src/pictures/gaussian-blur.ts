import type { MaskPicture } from "./picture.ts";

/**
 * Blurs a mask, along its rows and then its columns, each rounded to bytes: the kernel that AUTOMATIC1111 gives to OpenCV's
 * `GaussianBlur`, 2 trunc(2.5 sigma + 0.5) + 1 wide, with the mask mirrored at its edges (OpenCV's default border, in
 * which the edge itself is not repeated).
 * @param sigmaX standard deviation along the rows in pixels; 0 leaves them as they are
 */
export function gaussianBlur(mask: MaskPicture, sigmaX: number, sigmaY: number): MaskPicture {
  const { width, height } = mask;
  let { data } = mask;
  if (sigmaX > 0) data = blurLines(data, gaussianKernel(sigmaX), { lines: height, length: width, line: width, step: 1 });
  if (sigmaY > 0) data = blurLines(data, gaussianKernel(sigmaY), { lines: width, length: height, line: 1, step: width });
  return { width, height, data };
}

function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.trunc(2.5 * sigma + 0.5);
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** How the bytes of a mask are its rows or its columns. */
interface Lines {
  readonly lines: number;
  readonly length: number;
  /** From one line to the next, and from one of its pixels to the next. */
  readonly line: number;
  readonly step: number;
}

function blurLines(data: Uint8Array, kernel: Float64Array, { lines, length, line, step }: Lines): Uint8Array {
  const radius = (kernel.length - 1) / 2;
  const mirrored = Int32Array.from({ length: length + 2 * radius }, (_, i) => mirror(i - radius, length) * step);
  const out = new Uint8Array(data.length);
  for (let each = 0; each < lines; each++) {
    for (let at = 0; at < length; at++) {
      let sum = 0;
      for (let tap = 0; tap < kernel.length; tap++) {
        sum += (kernel[tap] ?? 0) * (data[each * line + (mirrored[at + tap] ?? 0)] ?? 0);
      }
      out[each * line + at * step] = Math.round(sum);
    }
  }
  return out;
}

function mirror(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((index % period) + period) % period;
  return place < length ? place : period - place;
}
